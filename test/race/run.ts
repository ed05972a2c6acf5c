import { race } from "./race.ts";

// `npm run race -- 1000 50 25`: rounds, sessions, and in which rounds a replica is killed (0: in none).
const [rounds = 1000, sessions = 50, killEvery = 25] = process.argv.slice(2).map(Number);
const outcome = await race({
  rounds,
  sessions,
  kills: (round) => killEvery > 0 && round % killEvery === 0,
  onRound: (round) => {
    if (round % 100 === 0) process.stderr.write(`${round} rounds\n`);
  },
});
process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
const { ranTwice, ranNever, usedTwice, withoutRecord, successes } = outcome;
const isTooMany = Object.keys(successes).some((count) => Number(count) > 1);
const wrong = [ranTwice, ranNever, usedTwice, withoutRecord].some(({ length }) => length > 0);
process.exitCode = isTooMany || wrong ? 1 : 0;
