/* In a Cluster a script may touch only keys that it was given; so may a user whose permissions name keys. */
import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";

const HOME = new URL("../src/redis/scripts/", import.meta.url);
/** Commands that have no key. */
const KEYLESS = new Set(["TIME", "INFO", "PUBSUB", "PUBLISH", "SPUBLISH"]);
/** `KEYS[2]`, `KEYS[first + i]`, `K.absent`. */
const GIVEN = /^(?:KEYS\[[^\]]+\]|K\.\w+)$/;

interface Script {
  readonly name: string;
  readonly lua: string;
}

/** Every text with a call in it that a module of ours exports. */
async function scripts(): Promise<Script[]> {
  const found: Script[] = [];
  for (const file of await readdir(HOME)) {
    const module = (await import(new URL(file, HOME).href)) as Record<string, unknown>;
    for (const [name, lua] of Object.entries(module)) {
      if (typeof lua === "string" && lua.includes("redis.")) found.push({ name: `${file} ${name}`, lua });
    }
  }
  return found;
}

/** What stands where the key of each call should be, unless it is a key that was given. */
function strayKeys(lua: string): string[] {
  const locals = localsFromKeys(lua);
  return [...lua.matchAll(/redis\.p?call\(\s*([^,)]+)\s*(?:,\s*([^,)]+(?:\([^)]*\))?[^,)]*))?/g)].flatMap(
    ([call, command = "", key = ""]) => {
      const name = /^'(\w+)'$/.exec(command.trim())?.[1];
      if (name === undefined) return command.trim() === "publish" ? [] : [`${call}: not a command by name`];
      if (KEYLESS.has(name) || GIVEN.test(key.trim()) || locals.has(key.trim())) return [];
      return [call];
    },
  );
}

/** `local key, duty = KEYS[i], ARGV[i]`, `for _, key in ipairs(KEYS)`, and functions that are only given such keys. */
function localsFromKeys(lua: string): Set<string> {
  const locals = new Set<string>();
  for (const [, names = "", values = ""] of lua.matchAll(/local ([\w, ]+?) = (.+)/g)) {
    const given = values.split(/,(?![^([]*[)\]])/).map((value) => GIVEN.test(value.trim()));
    names.split(",").forEach((name, i) => given[i] && locals.add(name.trim()));
  }
  for (const [, name = ""] of lua.matchAll(/for _, (\w+) in ipairs\(KEYS\)/g)) locals.add(name);
  for (const [, name = "", parameter = ""] of lua.matchAll(/local function (\w+)\((\w+)/g)) {
    const uses = [...lua.matchAll(new RegExp(`(?<!function )\\b${name}\\(([^,)]+)`, "g"))].map(
      ([, value = ""]) => value,
    );
    if (uses.length > 0 && uses.every((value) => GIVEN.test(value.trim()))) locals.add(parameter);
  }
  return locals;
}

test("every script touches only keys that it is given", async () => {
  const all = await scripts();
  expect(all.length).toBeGreaterThan(15);
  expect(all.flatMap(({ name, lua }) => strayKeys(lua).map((call) => `${name}: ${call}`))).toEqual([]);
});

test("every name of a key in a script is one that the script is given", async () => {
  for (const { name, lua } of await scripts()) {
    const given = /local K = \{(.*)\}/.exec(lua)?.[1];
    if (given === undefined) continue; // a fragment: its script is checked
    const known = new Set([...given.matchAll(/(\w+) = KEYS\[\d+\]/g)].map(([, key]) => key));
    const used = [...lua.matchAll(/\bK\.(\w+)/g)].map(([, key]) => key);
    expect(
      used.filter((key) => !known.has(key)),
      name,
    ).toEqual([]);
  }
});

test.each([
  ["a key out of an argument", "redis.call('GET', ARGV[1])"],
  ["a key that is made up", "redis.call('HSET', 'ours:' .. id, 1)"],
  ["a local that is no key", "local key = ARGV[1]\nredis.pcall('DEL', key)"],
  ["a command that is computed", "redis.call(command, KEYS[1])"],
  [
    "a function that is given anything else",
    "local function sum(key) return redis.call('HVALS', key) end\nsum(ARGV[1])",
  ],
])("this very test notices %s", (_, lua) => {
  expect(strayKeys(lua)).toHaveLength(1);
});
