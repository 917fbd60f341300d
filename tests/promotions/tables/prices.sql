CREATE TABLE prices (
  sku STRING,
  price DECIMAL(8, 2),
  valid_from TIMESTAMP_LTZ(3),
  WATERMARK FOR valid_from AS valid_from,
  PRIMARY KEY (sku) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', ${kafka.main}, 'topic' = '${prefix}.prices',
  'key.format' = 'json', 'value.format' = 'json', 'value.json.timestamp-format.standard' = 'ISO-8601'
)
