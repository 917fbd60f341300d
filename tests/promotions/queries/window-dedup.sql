-- The last page of each user in every minute.
-- needs: clicks
-- cell
SELECT window_start, user_id, page, click_time FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY window_start, window_end, user_id ORDER BY click_time DESC
  ) AS n
  FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(click_time), INTERVAL '1' MINUTE))
) WHERE n = 1
