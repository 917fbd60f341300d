-- Buyers of each channel, and those who bought much.
-- needs: orders
-- cell
SELECT channel, COUNT(DISTINCT customer_id) AS buyers,
  COUNT(DISTINCT customer_id) FILTER (WHERE amount >= 200) AS big_buyers,
  AVG(amount) AS mean
FROM orders
GROUP BY channel
HAVING COUNT(*) > 3
