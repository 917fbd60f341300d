-- The first order of each customer.
-- needs: orders
-- cell
SELECT customer_id, order_id, channel, order_time FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY order_time ASC) AS n FROM orders
) WHERE n = 1
