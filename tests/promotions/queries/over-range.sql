-- What a customer spent in the three minutes up to each order.
-- needs: orders
-- cell
SELECT order_id, customer_id, amount,
  SUM(amount) OVER spent AS spent_lately,
  COUNT(*) OVER spent AS orders_lately
FROM orders
WINDOW spent AS (
  PARTITION BY customer_id ORDER BY order_time RANGE BETWEEN INTERVAL '3' MINUTE PRECEDING AND CURRENT ROW
)
