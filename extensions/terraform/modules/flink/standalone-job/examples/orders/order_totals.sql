CREATE TABLE orders (
  symbol STRING,
  amount DECIMAL(10, 2)
) WITH (
  'connector' = 'kafka',
  ${kafka.main},
  'topic' = '${topic}',
  'properties.group.id' = 'order-totals',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE totals (
  symbol STRING,
  total DECIMAL(38, 2),
  PRIMARY KEY (symbol) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  ${kafka.main},
  'topic' = '${topic}.totals',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO totals
SELECT symbol, SUM(amount) FROM orders GROUP BY symbol;
