CREATE TABLE large_orders (
  id BIGINT,
  symbol STRING,
  amount DECIMAL(10, 2)
) WITH (
  'connector' = 'kafka',
  ${kafka.main},
  'topic' = 'orders.large',
  'format' = 'json'
);
