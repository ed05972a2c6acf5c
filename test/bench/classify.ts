/**
 * What a decision on a text costs, in µs: `node --import tsx test/bench/classify.ts`. A text seen before is a look-up in the
 * cache; a new one is parsed, walked and judged. Medians of repeated runs, best run in brackets; of one machine.
 */
import { Classifier } from "../../src/session/classifier.ts";
import { classify } from "../../src/sql/classify.ts";
import { parse, warmUp } from "../../src/sql/parser.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";

const ANALYTIC = `
WITH recent AS (SELECT * FROM orders WHERE created_at > now() - interval '30 days'),
     best AS (SELECT customer_id, sum(total) AS spent FROM recent GROUP BY customer_id)
SELECT c.id, c.name, b.spent, rank() OVER (PARTITION BY c.country ORDER BY b.spent DESC) AS place,
       coalesce(json_agg(json_build_object('id', r.id, 'total', r.total)) FILTER (WHERE r.total > 10), '[]') AS orders
FROM customers c JOIN best b ON b.customer_id = c.id LEFT JOIN recent r ON r.customer_id = c.id
WHERE c.country IN ('PT', 'DE', 'FR') AND NOT EXISTS (SELECT 1 FROM banned x WHERE x.user_id = c.id)
GROUP BY c.id, c.name, c.country, b.spent HAVING count(*) > 1 ORDER BY place LIMIT 50`;

const TEXTS: readonly (readonly [name: string, text: (n: number) => string])[] = [
  ["pgbench SELECT", (n) => `SELECT abalance FROM pgbench_accounts WHERE aid = ${n};`],
  ["keyed UPDATE", (n) => `UPDATE users SET active = false WHERE id = ${n} AND tenant_id = 3`],
  ["DROP TABLE", (n) => `DROP TABLE IF EXISTS t${n} CASCADE`],
  ["analytic query", (n) => `${ANALYTIC} OFFSET ${n}`],
];

const RUNS = 9;

function microseconds(repeats: number, work: (n: number) => unknown): string {
  const runs = Array.from({ length: RUNS }, (_, run) => {
    const started = performance.now();
    for (let n = 0; n < repeats; n++) work(run * repeats + n);
    return ((performance.now() - started) * 1000) / repeats;
  }).toSorted((a, b) => a - b);
  return `${(runs[RUNS >> 1] ?? 0).toFixed(2)} [${(runs[0] ?? 0).toFixed(2)}]`;
}

warmUp();
const classifier = new Classifier({ dialect: "postgresql", cacheBytes: 512 * 1024 * 1024 });
for (const [name, text] of TEXTS) {
  const seen = text(0);
  void classifier.classify(seen, NEW_SESSION);
  const rows = {
    seen: microseconds(100_000, () => classifier.classify(seen, NEW_SESSION)),
    parse: microseconds(1000, (n) => parse(text(n))),
    classify: microseconds(1000, (n) =>
      classify(text(n), { dialect: "postgresql", session: NEW_SESSION }),
    ),
    new: microseconds(1000, (n) => classifier.classify(text(n + 1_000_000), NEW_SESSION)),
  };
  process.stdout.write(`${name.padEnd(16)} ${JSON.stringify(rows)}\n`);
}
process.stdout.write(`${JSON.stringify(classifier.stats())}\n`);
await classifier.close();
