-- Prices that fell at least twice and then rose.
-- needs: ticks
-- cell
SELECT sku, before_fall, lowest, after_rise, fell_for, risen_at
FROM ticks
MATCH_RECOGNIZE (
  PARTITION BY sku
  ORDER BY tick_time
  MEASURES
    A.price AS before_fall,
    LAST(DOWN.price) AS lowest,
    UP.price AS after_rise,
    COUNT(DOWN.price) AS fell_for,
    UP.tick_time AS risen_at
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST UP
  PATTERN (A DOWN{2,} UP)
  DEFINE
    DOWN AS DOWN.price < LAST(DOWN.price, 1) OR (LAST(DOWN.price, 1) IS NULL AND DOWN.price < A.price),
    UP AS UP.price > LAST(DOWN.price)
) AS turns
