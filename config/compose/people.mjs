// Makes alice and bob for docker-compose.yml: passwords, verifiers and SSH keys, once, in the folder that is named.
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { enroll, signerLine } from "/opt/twokey/dist/cli/demo/people.js";

const [, , directory] = process.argv;
mkdirSync(`${directory}/data`, { recursive: true, mode: 0o700 });
const [alice, bob] = [await enroll("alice", directory), await enroll("bob", directory)];
writeFileSync(`${directory}/allowed_signers`, signerLine(alice) + signerLine(bob));
process.stdout
  .write(`alice, a senior:  psql postgresql://alice:${alice.password}@127.0.0.1:6543/postgres
bob, a lead:      docker compose exec twokey twokey approve R-...... --as bob --key ${bob.keyFile}
`);
