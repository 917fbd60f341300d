-- What is still to be paid of each order.
-- needs: orders, payments
CREATE VIEW order_states AS
SELECT order_id, customer_id, amount FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY order_time DESC) AS age FROM orders
) WHERE age = 1;
CREATE VIEW paid_orders AS
SELECT order_id, SUM(paid) AS paid, COUNT(*) AS payments FROM payments GROUP BY order_id;
-- cell
SELECT o.order_id, o.amount, p.paid, o.amount - COALESCE(p.paid, 0) AS due
FROM order_states AS o
LEFT JOIN paid_orders AS p ON o.order_id = p.order_id
