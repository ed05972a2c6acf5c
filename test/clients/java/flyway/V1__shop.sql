CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL);
CREATE INDEX orders_customer ON orders (customer);
INSERT INTO orders (customer) VALUES ('one'), ('two');
