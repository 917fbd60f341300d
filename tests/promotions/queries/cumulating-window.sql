-- Turnover since the last full ten minutes, every two.
-- needs: orders
-- cell
SELECT window_start, window_end, SUM(amount) AS turnover, MAX(amount) AS largest
FROM TABLE(CUMULATE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '2' MINUTE, INTERVAL '10' MINUTE))
GROUP BY window_start, window_end
