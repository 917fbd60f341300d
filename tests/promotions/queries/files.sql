-- Orders as files, a folder for each channel.
-- needs: orders
CREATE TABLE order_files (order_id BIGINT, amount DECIMAL(10, 2), order_time TIMESTAMP_LTZ(3), channel STRING)
PARTITIONED BY (channel)
WITH ('connector' = 'filesystem', 'path' = 'file://${directory}/order_files', 'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601');
-- cell
SET 'execution.checkpointing.interval' = '1 s';
INSERT INTO order_files
SELECT order_id, amount, order_time, channel FROM orders WHERE amount > 20
