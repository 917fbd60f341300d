CREATE TABLE clicks (
  user_id INT,
  page STRING,
  context STRING,
  click_time TIMESTAMP_LTZ(3),
  WATERMARK FOR click_time AS click_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.clicks', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
)
