-- Orders with the payment of their first two minutes, or none.
-- needs: orders, payments
-- cell
SELECT o.order_id, o.amount, p.payment_id, p.paid_by
FROM orders AS o
LEFT JOIN payments AS p ON o.order_id = p.order_id
  AND p.pay_time BETWEEN o.order_time AND o.order_time + INTERVAL '2' MINUTE
