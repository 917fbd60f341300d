-- Orders that were paid by card.
-- needs: orders, payments
-- cell
SELECT order_id, customer_id, amount
FROM orders AS o
WHERE EXISTS (SELECT 1 FROM payments AS p WHERE p.order_id = o.order_id AND p.paid_by = 'card')
