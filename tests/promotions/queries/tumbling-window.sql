-- Orders and turnover of each channel, by minute.
-- needs: orders
-- cell
SELECT window_start, window_end, channel, COUNT(*) AS orders, SUM(amount) AS turnover
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, channel
