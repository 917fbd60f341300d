CREATE TABLE order_totals (
  symbol STRING,
  total DECIMAL(38, 2),
  PRIMARY KEY (symbol) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  ${kafka.main},
  'topic' = '${to}',
  'key.format' = 'avro-confluent',
  'key.avro-confluent.url' = ${registry.main},
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = ${registry.main}
);
