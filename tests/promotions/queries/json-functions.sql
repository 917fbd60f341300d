-- Devices and campaigns, out of a click's JSON text.
-- needs: clicks
-- cell
SELECT user_id, click_time,
  JSON_VALUE(context, '$.device.kind') AS device,
  JSON_VALUE(context, '$.screen[0]' RETURNING INT) AS width,
  JSON_QUERY(context, '$.device') AS raw_device,
  JSON_OBJECT('user' VALUE user_id, 'page' VALUE page) AS brief
FROM clicks
WHERE JSON_EXISTS(context, '$.campaign') AND context IS JSON
