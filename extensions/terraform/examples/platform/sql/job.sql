INSERT INTO large_orders
SELECT id, symbol, amount FROM orders WHERE amount >= ${least};
