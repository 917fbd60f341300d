CREATE TABLE customers (
  customer_id INT,
  name STRING,
  country STRING,
  tier STRING,
  PRIMARY KEY (customer_id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', ${kafka.main}, 'topic' = '${prefix}.customers',
  'key.format' = 'json', 'value.format' = 'json'
)
