CREATE TABLE ticks (
  sku STRING,
  price DECIMAL(8, 2),
  tick_time TIMESTAMP_LTZ(3),
  WATERMARK FOR tick_time AS tick_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.ticks', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
)
