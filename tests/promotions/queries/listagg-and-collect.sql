-- The channels of each customer: as text, and counted.
-- needs: orders
-- cell
SELECT customer_id, LISTAGG(channel, '>') AS path, LISTAGG(DISTINCT channel) AS channels,
  COLLECT(channel) AS counted
FROM orders
GROUP BY customer_id
