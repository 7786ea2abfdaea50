/* The flags of `npm run storm`, each checked here. */
import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

/** @typedef {ReturnType<typeof readFlags>} Flags */

const SMALL = { kills: 200, pauses: 40, jobs: 20_000 };
const LONG = { kills: 3_000, pauses: 600, jobs: 300_000 };
const MOST_SEED = 2 ** 31;

/** @param {readonly string[]} args */
export function readFlags(args) {
  const text = /** @type {const} */ ({ type: "string" });
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: text,
      kills: text,
      pauses: text,
      jobs: text,
      processes: text,
      minutes: text,
      gap: text,
      queue: { type: "string", default: "bullmq" },
      long: flag,
      compare: flag,
      json: flag,
    },
  });
  const size = values.long ? LONG : SMALL;
  return {
    seed: whole("seed", values.seed, randomInt(1, MOST_SEED)),
    kills: whole("kills", values.kills, size.kills),
    pauses: whole("pauses", values.pauses, size.pauses),
    jobs: whole("jobs", values.jobs, size.jobs),
    processes: whole("processes", values.processes, 8, 2),
    minutes: whole("minutes", values.minutes, 0),
    gap: whole("gap", values.gap, 100),
    module: moduleOf(values.queue),
    queue: values.queue,
    compare: values.compare,
    json: values.json,
  };
}

/** The flags that repeat a storm. */
export function repeat(/** @type {Flags} */ { seed, kills, pauses, jobs, processes, minutes, gap, queue }) {
  const all = { seed, kills, pauses, jobs, processes, minutes, gap, queue };
  return `npm run storm -- ${Object.entries(all)
    .map(([name, value]) => `--${name} ${value}`)
    .join(" ")}`;
}

/** @param {string} name @param {string | undefined} text @param {number} fallback @param {number} [least] */
function whole(name, text, fallback, least = 0) {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name}: expected a whole number from ${least}, got ${text}`);
}

/* A name in queues/, or a path from where the command was called. */
function moduleOf(/** @type {string} */ queue) {
  const isPath = queue.startsWith(".") || isAbsolute(queue);
  const path = isPath
    ? resolve(process.env["INIT_CWD"] ?? "", queue)
    : fileURLToPath(new URL(`queues/${queue}.mjs`, import.meta.url));
  if (existsSync(path)) return pathToFileURL(path).href;
  throw new Error(`--queue: expected bullmq or the path of a module like queues/bullmq.mjs, got ${queue}`);
}
