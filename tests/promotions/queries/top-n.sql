-- The three products that each channel sells most of.
-- needs: orders
-- cell
SELECT channel, place, sku, units FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY units DESC, sku) AS place FROM (
    SELECT channel, sku, SUM(quantity) AS units FROM orders GROUP BY channel, sku
  )
) WHERE place <= 3
