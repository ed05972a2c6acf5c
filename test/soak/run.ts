import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";

// npm run soak -- --minutes 30 --workers 8 --faults on --seed 1

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    workers: { type: "string", default: "8" },
    faults: { type: "string", default: "on" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
say(`seed ${values.seed}, load ${loadavg().map(Math.round).join(" ")}`);
const figures = await soak({
  minutes: Number(values.minutes),
  workers: Number(values.workers),
  faults: values.faults !== "off",
  seed: Number(values.seed),
  say,
});
say(JSON.stringify(figures, undefined, 2));
const { rssAfterFirstMinutesMb: first, rssAtEndMb: last } = figures;
say(`memory ${first} MB → ${last} MB (${Math.round((last / first - 1) * 100)} %)`);
const isGood =
  figures.differing.length === 0 &&
  figures.unexplained.length === 0 &&
  figures.descriptorsAfter <= figures.descriptorsBefore &&
  last <= first * 1.1;
say(isGood ? "good" : "NOT GOOD");
process.exitCode = isGood ? 0 : 1;
