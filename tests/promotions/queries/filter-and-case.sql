-- Orders by size, those of the shop left out.
-- needs: orders
-- cell
SELECT order_id,
  CASE WHEN amount >= 200 THEN 'large' WHEN amount >= 50 THEN 'medium' ELSE 'small' END AS size,
  COALESCE(note, '-') AS note,
  UPPER(channel) AS channel,
  DATE_FORMAT(order_time, 'HH:mm') AS at_minute
FROM orders
WHERE channel <> 'shop' AND (note IS NULL OR note NOT LIKE '%test%')
