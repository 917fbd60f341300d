-- Words of the notes, counted.
-- needs: orders
-- functions: words.py
-- cell
SELECT word, COUNT(*) AS times, MAX(letters) AS letters
FROM orders, LATERAL TABLE(words_of(note)) AS w (word, letters)
GROUP BY word
