import { expect, test } from "vitest";
import { LoginThrottle, type LoginAttempt } from "../../src/auth/login-throttle.ts";

const LIMITS = { perPerson: 3, perAddress: 5, windowMs: 1000, lockForMs: 5000 };
const HOME = "192.0.2.1";
const ELSEWHERE = "198.51.100.7";

class World {
  readonly throttle = new LoginThrottle(LIMITS);
  nowMs = 0;

  at(user: string, address: string, isKnown = true): LoginAttempt {
    return this.throttle.attempt({ user, isKnown, address, nowMs: this.nowMs });
  }

  fail(user: string, address: string, { times = 1, isKnown = true } = {}): void {
    for (let i = 0; i < times; i++) this.at(user, address, isKnown).failed();
  }
}

test.each([true, false])("locks a name after so many wrong passwords; known: %s", (isKnown) => {
  const world = new World();
  world.fail("alice", ELSEWHERE, { times: 2, isKnown });
  expect(world.at("alice", ELSEWHERE, isKnown).isLocked()).toBe(false);
  world.fail("alice", "203.0.113.9", { isKnown });
  expect(world.at("alice", ELSEWHERE, isKnown).isLocked()).toBe(true);
  expect(world.at("bob", ELSEWHERE, isKnown).isLocked()).toBe(false);
  world.nowMs = 4999;
  expect(world.at("alice", HOME, isKnown).isLocked()).toBe(true);
  world.nowMs = 5000;
  expect(world.at("alice", HOME, isKnown).isLocked()).toBe(false);
});

test("forgets what is older than the window", () => {
  const world = new World();
  world.fail("alice", ELSEWHERE, { times: 2 });
  world.nowMs = 1000;
  world.fail("alice", ELSEWHERE, { times: 2 });
  expect(world.at("alice", ELSEWHERE).isLocked()).toBe(false);
});

test("locks an address that tries many names", () => {
  const world = new World();
  for (const name of ["a", "b", "c", "d", "e"]) world.fail(name, ELSEWHERE, { isKnown: false });
  expect(world.at("alice", ELSEWHERE).isLocked()).toBe(true);
  expect(world.at("alice", HOME).isLocked()).toBe(false);
});

test("takes an IPv6 /64 for one address, and a mapped IPv4 for itself", () => {
  const world = new World();
  for (const [index, name] of ["a", "b", "c", "d", "e"].entries()) {
    world.fail(name, `2001:db8::${index}`);
    world.fail(name, `::ffff:${HOME}`);
  }
  expect(world.at("x", "2001:db8::ffff").isLocked()).toBe(true);
  expect(world.at("x", "2001:db8:0:1::1").isLocked()).toBe(false);
  expect(world.at("x", HOME).isLocked()).toBe(true);
  expect(world.at("x", "192.0.2.2").isLocked()).toBe(false);
});

test("nobody can be locked out of where they log in from, by whoever is elsewhere", () => {
  const world = new World();
  world.at("alice", HOME).succeeded();
  world.fail("alice", ELSEWHERE, { times: 100 });
  expect(world.at("alice", ELSEWHERE).isLocked()).toBe(true);
  expect(world.at("alice", HOME).isLocked()).toBe(false);
});

test("nor by whoever tries other names from the same address", () => {
  const world = new World();
  world.at("alice", HOME).succeeded();
  world.fail("bob", HOME, { times: 100 });
  expect(world.at("alice", HOME).isLocked()).toBe(false);
  expect(world.at("carol", HOME).isLocked()).toBe(true);
});

test("where they log in from, their own name can be tried only so often, too", () => {
  const world = new World();
  world.at("alice", HOME).succeeded();
  world.fail("alice", HOME, { times: 2 });
  world.at("alice", HOME).succeeded();
  world.fail("alice", HOME, { times: 3 });
  expect(world.at("alice", HOME).isLocked()).toBe(true);
});

test("a good password buys no guesses at others' names", () => {
  const world = new World();
  for (let i = 0; i < 5; i++) {
    world.fail(`name${i}`, ELSEWHERE);
    world.at("mallory", ELSEWHERE).succeeded();
  }
  expect(world.at("alice", ELSEWHERE).isLocked()).toBe(true);
});

test("invented names, however many, push no real one out", () => {
  const world = new World();
  world.fail("alice", ELSEWHERE, { times: 3 });
  for (let i = 0; i < 30_000; i++) {
    world.fail(`invented ${i}`, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, { isKnown: false });
  }
  expect(world.at("alice", HOME).isLocked()).toBe(true);
});

test("remembers the latest addresses of each person only", () => {
  const world = new World();
  for (let i = 0; i < 40; i++) world.at("alice", `192.0.2.${i}`).succeeded();
  world.fail("alice", ELSEWHERE, { times: 3 });
  expect(world.at("alice", "192.0.2.39").isLocked()).toBe(false);
  expect(world.at("alice", "192.0.2.8").isLocked()).toBe(false);
  expect(world.at("alice", "192.0.2.7").isLocked()).toBe(true);
});
