-- Orders at the last tick before them: a versioned view.
-- needs: orders, ticks
CREATE VIEW last_ticks AS
SELECT sku, price, tick_time FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY sku ORDER BY tick_time DESC) AS age FROM ticks
) WHERE age = 1;
-- cell
SELECT o.order_id, o.sku, t.price, o.amount - o.quantity * t.price AS margin
FROM orders AS o
JOIN last_ticks FOR SYSTEM_TIME AS OF o.order_time AS t ON o.sku = t.sku
