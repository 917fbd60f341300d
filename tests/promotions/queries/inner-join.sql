-- Orders with their payments.
-- needs: orders, payments
-- cell
SELECT o.order_id, p.payment_id, p.paid_by, o.amount, p.paid
FROM orders AS o
JOIN payments AS p ON o.order_id = p.order_id
