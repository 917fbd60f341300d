-- Orders shipped within five minutes.
-- needs: orders, shipments
-- cell
SELECT o.order_id, s.shipment_id, s.carrier, o.order_time,
  TIMESTAMPDIFF(SECOND, o.order_time, s.ship_time) AS waited
FROM orders AS o
JOIN shipments AS s ON o.order_id = s.order_id
  AND s.ship_time BETWEEN o.order_time AND o.order_time + INTERVAL '5' MINUTE
