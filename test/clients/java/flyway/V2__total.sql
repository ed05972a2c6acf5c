ALTER TABLE orders ADD COLUMN total numeric NOT NULL DEFAULT 0;
CREATE VIEW large_orders AS SELECT * FROM orders WHERE total > 100;
