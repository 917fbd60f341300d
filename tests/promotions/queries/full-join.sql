-- Products and stock: what is sold without stock, what lies there without being sold.
-- needs: products, stock
CREATE TABLE shelf (sku STRING, title STRING, units INT) WITH (
  'connector' = 'kafka', ${kafka.main}, 'topic' = '${prefix}.out.shelf', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'debezium-json'
);
-- cell
INSERT INTO shelf
SELECT COALESCE(p.sku, s.sku), p.title, s.units
FROM products AS p
FULL OUTER JOIN stock AS s ON p.sku = s.sku
