-- The mean price of each product, weighted by a Python aggregate.
-- needs: orders
-- functions: weighted.py
-- cell
SELECT sku, weighted_price(CAST(amount * 100 AS BIGINT), quantity) AS cents, COUNT(*) AS orders
FROM orders
GROUP BY sku
