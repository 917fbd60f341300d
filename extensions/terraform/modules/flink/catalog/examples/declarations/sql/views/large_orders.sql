CREATE VIEW large_orders AS
SELECT id, symbol, amount FROM orders WHERE amount >= 1000;
