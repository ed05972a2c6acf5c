-- Something to lose. Runs once, when PostgreSQL's volume is new.
CREATE TABLE orders (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  customer text NOT NULL,
  amount numeric(8, 2) NOT NULL,
  ordered_at timestamptz NOT NULL
);
INSERT INTO orders (customer, amount, ordered_at)
  SELECT 'customer ' || n % 1000, (n * 37 % 20000) / 100.0 + 5, timestamptz '2026-01-01' + n * interval '7 minutes'
  FROM generate_series(1, 20000) AS n;
