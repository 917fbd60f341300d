-- Orders with a risk that a Python function gives.
-- needs: orders
-- functions: risk.py
-- cell
SELECT order_id, risk_of(amount, channel) AS risk, clean(note) AS note
FROM orders
WHERE risk_of(amount, channel) > 1
