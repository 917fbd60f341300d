-- Every change of a product's turnover, as a log that anyone can read.
-- needs: orders
CREATE TABLE turnover_log (sku STRING, turnover DECIMAL(12, 2)) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.out.turnover_log', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'debezium-json'
);
-- cell
INSERT INTO turnover_log
SELECT sku, CAST(SUM(amount) AS DECIMAL(12, 2)) FROM orders GROUP BY sku
