-- Turnover of channels, of products, and in all, by five minutes.
-- needs: orders
-- cell
SELECT window_start, channel, sku, GROUPING_ID(channel, sku) AS level, SUM(amount) AS turnover
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(order_time), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, GROUPING SETS ((channel), (sku), ())
