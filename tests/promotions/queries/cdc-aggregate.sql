-- Money held by each branch, from a database's changes.
-- needs: accounts
-- cell
SELECT branch, COUNT(*) AS accounts, SUM(balance) AS held, MAX(balance) AS largest
FROM accounts
GROUP BY branch
