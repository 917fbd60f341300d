CREATE TABLE payments (
  payment_id BIGINT,
  order_id BIGINT,
  paid_by STRING,
  paid DECIMAL(10, 2),
  pay_time TIMESTAMP_LTZ(3),
  WATERMARK FOR pay_time AS pay_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.payments', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
)
