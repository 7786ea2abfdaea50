/* Records that somebody else wrote, or that lost a part: set aside, and in nobody's way. On a real Redis. */
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { redisStore } from "@assured-jobs/core";
import type { Store } from "@assured-jobs/core";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { keysOf } from "../src/redis/keys.ts";
import { registrationOf } from "../src/testing/store-suite/scene.ts";

let server: RedisHandle;
let redis: Redis;
let count = 0;
beforeAll(async () => {
  server = await startRedis({ own: true });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function open(): Promise<{ store: Store; keys: ReturnType<typeof keysOf> }> {
  const namespace = `records-${++count}`;
  const store = redisStore({ url: server.url, namespace });
  await store.open();
  onTestFinished(() => store.close());
  return { store, keys: keysOf(namespace) };
}

test("a dead one of which nobody can tell what it held is set aside; the others are found", async () => {
  const { store, keys } = await open();
  const good = registrationOf();
  await store.roster.register(good);
  await store.roster.declare({ incarnation: good.incarnation, cause: "left" });
  const wrong = [
    '{"registration":{"holders":{}},"observed":1}',
    '{"registration":{"incarnation":"a","holders":null},"observed":1}',
    '{"registration":{"incarnation":"b","holders":{"q":"x"}},"observed":1}',
    '{"registration":{"incarnation":"c"},"observed":1}',
    "null",
  ];
  for (const [at, record] of wrong.entries()) await redis.hset(keys.dead, `wrong-${at}`, record);
  expect((await store.roster.dead()).map(({ registration }) => registration.incarnation)).toEqual([good.incarnation]);
  expect(await redis.hlen(keys.malformed)).toBe(wrong.length);
  expect(await redis.hkeys(keys.dead)).toEqual([good.incarnation]);
});

test("a case without a run or a time is set aside; the others are opened", async () => {
  const { store, keys } = await open();
  const orphan = { queue: "test:q", id: "good", run: 1, proof: "p", holder: "dead" };
  await store.casebook.open([{ orphan, charged: true }], 60_000);
  await redis.hset(keys.cases("test:q"), "no-time", '{"orphan":{"id":"no-time","run":1,"holder":"dead"},"deaths":1}');
  await redis.hset(keys.cases("test:q"), "no-run", '{"orphan":{"id":"no-run","run":"x","holder":"dead"},"openedAt":1}');
  expect((await store.casebook.pending("test:q")).map(({ orphan: { id } }) => id)).toEqual(["good"]);
  expect(await redis.hlen(keys.malformed)).toBe(2);
});

test("a registration that cannot be read, or is not there, ends no list", async () => {
  const { store, keys } = await open();
  const all = ["a", "b", "c", "d", "e"].map((incarnation) => registrationOf({ incarnation }));
  for (const one of all) await store.roster.register(one);
  await redis.hset(keys.instances, "b", "torn");
  await redis.hdel(keys.instances, "c");
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.roster.instances({ limit: 2, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items.map(({ registration }) => registration.incarnation));
    cursor = page.cursor;
  } while (cursor !== undefined);
  expect(found).toEqual(["a", "d", "e"]);
});
