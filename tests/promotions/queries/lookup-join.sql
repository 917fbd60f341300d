-- Orders with what a web service knows of the customer.
-- needs: orders
CREATE TABLE customer_service (
  customer_id INT,
  segment STRING,
  address ROW<city STRING, zip STRING>
) WITH ('connector' = 'rest-lookup', 'format' = 'json', 'url' = '${service}', 'asyncPolling' = 'false');
CREATE VIEW orders_now AS SELECT *, PROCTIME() AS proc_time FROM orders;
-- cell
SELECT o.order_id, o.customer_id, c.segment, c.address.city AS city
FROM orders_now AS o
LEFT JOIN customer_service FOR SYSTEM_TIME AS OF o.proc_time AS c ON o.customer_id = c.customer_id
