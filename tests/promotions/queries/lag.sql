-- How a price moved from tick to tick.
-- needs: ticks
-- cell
SELECT sku, tick_time, price, price - before AS moved FROM (
  SELECT *, LAG(price) OVER (PARTITION BY sku ORDER BY tick_time) AS before FROM ticks
) WHERE before IS NOT NULL AND price <> before
