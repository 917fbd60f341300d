-- An existing table, with some of its columns named, and one that the query leaves out.
-- needs: orders
CREATE TABLE order_log (order_id BIGINT, remark STRING, sku STRING, units INT) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.out.order_log', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);
-- cell
INSERT INTO order_log (units, order_id, sku)
SELECT quantity, order_id, sku FROM orders WHERE quantity > 2
