-- Turnover of each category among the customers of some countries.
-- needs: orders, customers, products
-- params: country=CH, smallest=40
CREATE VIEW chosen_customers AS
SELECT customer_id, country FROM customers WHERE country IN ('${country}', 'AT');
CREATE VIEW larger_orders AS
SELECT * FROM orders WHERE amount >= ${smallest};
CREATE VIEW chosen_orders AS
SELECT o.order_id, o.sku, o.amount, c.country
FROM larger_orders AS o JOIN chosen_customers AS c ON o.customer_id = c.customer_id;
-- cell
SELECT p.category, o.country, COUNT(*) AS orders, SUM(o.amount) AS turnover
FROM chosen_orders AS o JOIN products AS p ON o.sku = p.sku
GROUP BY p.category, o.country
