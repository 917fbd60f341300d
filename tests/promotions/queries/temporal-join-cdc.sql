-- Orders at the price of their time, from a database's changes.
-- needs: orders, price_changes
-- cell
SELECT o.order_id, o.sku, p.price, p.changed_at
FROM orders AS o
JOIN price_changes FOR SYSTEM_TIME AS OF o.order_time AS p ON o.sku = p.sku
WHERE o.quantity > 1
