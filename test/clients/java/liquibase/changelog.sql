--liquibase formatted sql

--changeset alice:1
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL);
INSERT INTO orders (customer) VALUES ('one'), ('two');
--rollback DROP TABLE orders;

--changeset alice:2
ALTER TABLE orders ADD COLUMN total numeric NOT NULL DEFAULT 0;
--rollback ALTER TABLE orders DROP COLUMN total;
