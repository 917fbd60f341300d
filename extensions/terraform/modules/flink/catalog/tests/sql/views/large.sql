CREATE VIEW large AS SELECT id FROM orders;
