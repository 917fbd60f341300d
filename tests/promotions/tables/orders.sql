CREATE TABLE orders (
  order_id BIGINT,
  customer_id INT,
  sku STRING,
  quantity INT,
  amount DECIMAL(10, 2),
  channel STRING,
  note STRING,
  items ARRAY<ROW<sku STRING, quantity INT>>,
  order_time TIMESTAMP_LTZ(3),
  WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.orders', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
)
