-- Clicks and visitors of each page over two minutes, every thirty seconds.
-- needs: clicks
-- cell
SELECT page, window_start, window_end, COUNT(*) AS clicks, COUNT(DISTINCT user_id) AS visitors
FROM TABLE(HOP(TABLE clicks, DESCRIPTOR(click_time), INTERVAL '30' SECOND, INTERVAL '2' MINUTE))
GROUP BY page, window_start, window_end
