CREATE TABLE price_changes (
  sku STRING,
  price DECIMAL(8, 2),
  changed_at TIMESTAMP_LTZ(3),
  WATERMARK FOR changed_at AS changed_at,
  PRIMARY KEY (sku) NOT ENFORCED
) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.price_changes',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'debezium-json',
  'debezium-json.timestamp-format.standard' = 'ISO-8601'
)
