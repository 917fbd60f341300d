-- Orders at the price of their time.
-- needs: orders, prices
-- cell
SELECT o.order_id, o.sku, o.quantity, p.price, o.quantity * p.price AS value_then, o.order_time
FROM orders AS o
LEFT JOIN prices FOR SYSTEM_TIME AS OF o.order_time AS p ON o.sku = p.sku
