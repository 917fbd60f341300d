CREATE TABLE accounts (
  account_id INT,
  branch STRING,
  balance DECIMAL(12, 2),
  PRIMARY KEY (account_id) NOT ENFORCED
) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.accounts',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'debezium-json'
)
