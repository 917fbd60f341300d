CREATE TABLE stock (
  sku STRING,
  units INT,
  PRIMARY KEY (sku) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', ${kafka.main}, 'topic' = '${prefix}.stock',
  'key.format' = 'json', 'value.format' = 'json'
)
