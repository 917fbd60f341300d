-- Where each user is now.
-- needs: clicks
-- cell
SELECT user_id, page, click_time FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY click_time DESC) AS n FROM clicks
) WHERE n = 1
