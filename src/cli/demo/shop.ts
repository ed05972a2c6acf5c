import type { Client } from "pg";

const FIRST_NAMES =
  "Ada Ben Chloé Dario Elif Farid Greta Hugo Ines Jonas Katya Liam Mei Noor Olga Paul Rosa Samir Tara Yuki";
const LAST_NAMES =
  "Abe Berg Costa Dubois Eriksen Fischer García Haddad Ivanova Jensen Kaya Lopez Moreau Novak Okafor Park Rossi Silva Tanaka Weber";
const CITIES = "Amsterdam Berlin Bilbao Dublin Kraków Lisbon Lyon Malmö Porto Turin Utrecht Vienna";
const ADJECTIVES = "Compact Folding Heavy Light Quiet Rugged Slim Solar Spare Sturdy";
const THINGS = "Backpack Bottle Desk Hammock Headlamp Jacket Kettle Lantern Speaker Stove Tent";

/**
 * Fills an empty database with a small shop: the same rows every time, as many as a table at work might have in its
 * first week. `scale` 1 gives some 40,000.
 */
export async function fillShop(client: Client, scale: number): Promise<void> {
  const rows = (count: number): string => `generate_series(1, ${Math.ceil(count * scale)}) AS n`;
  const pick = (list: string, by: string): string => {
    const words = list.split(" ");
    return `(ARRAY[${words.map((word) => `'${word}'`).join(",")}])[1 + ${by} % ${words.length}]`;
  };
  const first = pick(FIRST_NAMES, "(n * 7)");
  const last = pick(LAST_NAMES, "(n * 13 + n / 20)");
  await client.query(`
    BEGIN;
    SELECT setseed(0.42);

    CREATE TABLE users (
      id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
      email text NOT NULL UNIQUE,
      name text NOT NULL,
      created_at timestamptz NOT NULL,
      is_active boolean NOT NULL DEFAULT true
    );
    INSERT INTO users (email, name, created_at, is_active)
      SELECT 'user' || n || '@shop.example', ${first} || ' ' || ${last},
             timestamptz '2026-01-01' + n * interval '37 minutes', n % 17 <> 0
      FROM ${rows(6000)};

    CREATE TABLE customers (
      id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
      user_id bigint NOT NULL UNIQUE REFERENCES users,
      city text NOT NULL,
      phone text NOT NULL
    );
    INSERT INTO customers (user_id, city, phone)
      SELECT id, ${pick(CITIES, "(id * 5)")}, '+00 555 ' || lpad(id::text, 6, '0')
      FROM users WHERE id % 2 = 0 ORDER BY id;

    CREATE TABLE products (
      id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
      name text NOT NULL,
      price numeric(8, 2) NOT NULL CHECK (price > 0),
      stock integer NOT NULL CHECK (stock >= 0)
    );
    INSERT INTO products (name, price, stock)
      SELECT ${pick(ADJECTIVES, "n")} || ' ' || ${pick(THINGS, "(n / 10)")} || ' ' || n,
             round((5 + random() * 300)::numeric, 2), (random() * 200)::integer
      FROM ${rows(400)};

    CREATE TABLE orders (
      id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
      customer_id bigint NOT NULL REFERENCES customers,
      product_id bigint NOT NULL REFERENCES products,
      quantity integer NOT NULL CHECK (quantity > 0),
      status text NOT NULL,
      ordered_at timestamptz NOT NULL
    );
    INSERT INTO orders (customer_id, product_id, quantity, status, ordered_at)
      SELECT customers.id, products.id, 1 + n % 4,
             ${pick("paid paid paid shipped shipped returned", "n")},
             timestamptz '2026-02-01' + n * interval '9 minutes'
      FROM ${rows(20_000)}
      JOIN customers ON customers.id = 1 + (n * 31) % (SELECT count(*) FROM customers)
      JOIN products ON products.id = 1 + (n * 17) % (SELECT count(*) FROM products);
    CREATE INDEX ON orders (customer_id);

    CREATE TABLE sessions (
      token uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      user_id bigint NOT NULL REFERENCES users,
      started_at timestamptz NOT NULL,
      ended_at timestamptz
    );
    INSERT INTO sessions (user_id, started_at, ended_at)
      SELECT id, started, CASE WHEN n % 3 > 0 THEN started + n * interval '1 second' END
      FROM ${rows(10_000)}
      JOIN users ON users.id = 1 + (n * 11) % (SELECT count(*) FROM users),
      LATERAL (SELECT timestamptz '2026-06-01' + n * interval '5 minutes' AS started) AS t;

    COMMIT;
    ANALYZE;
  `);
}
