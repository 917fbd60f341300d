INSERT INTO order_totals
SELECT symbol, SUM(amount) FROM orders GROUP BY symbol;
