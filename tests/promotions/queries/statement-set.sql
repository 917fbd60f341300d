-- Large orders and turnover by customer, from one reading of the topic.
-- needs: orders
CREATE TABLE large_orders (order_id BIGINT, amount DECIMAL(10, 2), order_time TIMESTAMP_LTZ(3)) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.out.large_orders', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);
CREATE TABLE customer_turnover (customer_id INT, turnover DECIMAL(12, 2), PRIMARY KEY (customer_id) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', ${kafka.main}, 'topic' = '${prefix}.out.customer_turnover',
  'key.format' = 'json', 'value.format' = 'json'
);
-- cell
EXECUTE STATEMENT SET BEGIN
  INSERT INTO large_orders SELECT order_id, amount, order_time FROM orders WHERE amount >= 200;
  INSERT INTO customer_turnover SELECT customer_id, SUM(amount) FROM orders GROUP BY customer_id;
END
