-- The mean price of each product, weighted by a Python aggregate, whose key the planner does not see.
-- needs: orders
-- functions: weighted.py
CREATE TABLE mean_prices (sku STRING, cents BIGINT, orders BIGINT, PRIMARY KEY (sku) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', ${kafka.main}, 'topic' = '${prefix}.out.mean_prices',
  'key.format' = 'json', 'value.format' = 'json'
);
-- cell
INSERT INTO mean_prices
SELECT sku, weighted_price(CAST(amount * 100 AS BIGINT), quantity), COUNT(*)
FROM orders
GROUP BY sku
ON CONFLICT DO DEDUPLICATE
