-- What each customer has bought so far.
-- needs: orders
SET 'table.exec.state.ttl' = '7 d';
-- cell
SELECT customer_id, COUNT(*) AS orders, SUM(amount) AS turnover, MIN(amount) AS smallest,
  MAX(order_time) AS latest
FROM orders
GROUP BY customer_id
