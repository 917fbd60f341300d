CREATE TABLE orders (
  id BIGINT,
  symbol STRING,
  amount DECIMAL(10, 2)
) WITH (
  'connector' = 'kafka',
  ${kafka.main},
  'topic' = 'orders',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);
