CREATE TABLE orders (
  id BIGINT,
  symbol STRING,
  amount DECIMAL(12, 2),
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'kafka',
  ${kafka.main},
  'topic' = '${from}',
  'properties.group.id' = '${group}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'debezium-json'
);
