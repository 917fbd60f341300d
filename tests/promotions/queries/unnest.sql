-- Units of each product in all baskets.
-- needs: orders
-- cell
SELECT i.item AS sku, SUM(i.units) AS units, COUNT(DISTINCT order_id) AS baskets
FROM orders
CROSS JOIN UNNEST(items) AS i (item, units)
GROUP BY i.item
