-- Customers that never ordered.
-- needs: customers, orders
-- cell
SELECT customer_id, name, country
FROM customers AS c
WHERE NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.customer_id = c.customer_id)
