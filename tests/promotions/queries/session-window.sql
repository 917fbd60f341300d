-- Visits: clicks of a user with less than twenty seconds between them.
-- needs: clicks
-- cell
SELECT user_id, window_start, window_end, COUNT(*) AS clicks, COUNT(DISTINCT page) AS pages
FROM TABLE(SESSION(TABLE clicks PARTITION BY user_id, DESCRIPTOR(click_time), INTERVAL '20' SECOND))
GROUP BY user_id, window_start, window_end
