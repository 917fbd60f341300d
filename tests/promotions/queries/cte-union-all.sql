-- All that happened to an order, in one stream.
-- needs: orders, payments, shipments
-- cell
WITH happened AS (
  SELECT order_id, 'ordered' AS what, order_time AS at_time FROM orders
  UNION ALL
  SELECT order_id, 'paid', pay_time FROM payments
  UNION ALL
  SELECT order_id, 'shipped', ship_time FROM shipments
),
counted AS (
  SELECT order_id, COUNT(*) AS steps, MAX(at_time) AS latest, MAX(CASE WHEN what = 'shipped' THEN 1 ELSE 0 END) AS shipped
  FROM happened GROUP BY order_id
)
SELECT order_id, steps, latest, shipped = 1 AS is_shipped FROM counted WHERE steps > 1
