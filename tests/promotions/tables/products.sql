CREATE TABLE products (
  sku STRING,
  title STRING,
  category STRING,
  PRIMARY KEY (sku) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', ${kafka.main}, 'topic' = '${prefix}.products',
  'key.format' = 'json', 'value.format' = 'json'
)
