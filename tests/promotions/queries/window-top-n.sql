-- The two best customers of every two minutes.
-- needs: orders
-- cell
SELECT window_start, window_end, place, customer_id, turnover FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY window_start, window_end ORDER BY turnover DESC, customer_id
  ) AS place FROM (
    SELECT window_start, window_end, customer_id, SUM(amount) AS turnover
    FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '2' MINUTE))
    GROUP BY window_start, window_end, customer_id
  )
) WHERE place <= 2
