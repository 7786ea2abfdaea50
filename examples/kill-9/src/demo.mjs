/* Kills worker processes in mid-job and shows what becomes of their jobs.
 *   --kills N   how many (default 5)      --json     last line of stdout: the result as one JSON object
 *   --compare   the same with the queue alone (one kill; takes up to a minute and a half more)
 *   --queue NAME   bullmq (default), bee or sidekiq
 * Exit code 1 when a job was lost. Without REDIS_URL it starts a private server, and ends it again. */
import { parseArgs } from "node:util";
import { openRedis } from "./redis.mjs";
import { Rounds } from "./rounds.mjs";
import { Timeline } from "./timeline.mjs";
import { summary, verdict } from "./verdict.mjs";

const BARE_PATIENCE = 90_000;
const PATIENCE = 60_000;

const QUEUES = ["bullmq", "bee", "sidekiq"];
const { kills, compare, json, queue: folder } = options();
/** @type {{ module: import("./queue.d.mts").QueueModule }} */
const { module: queue } = await import(`./${folder}/queue.mjs`);
const timeline = new Timeline(json ? process.stderr : process.stdout);
/** @type {(() => Promise<void>)[]} */
const endings = [];

let interrupted = false;
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.once(signal, () => {
    interrupted = true;
    void end().then(() => process.exit(signal === "SIGINT" ? 130 : 143));
  });
}

try {
  process.exitCode = await demo();
} catch (error) {
  if (!interrupted) console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await end();
}

async function demo() {
  if (compare) await queue.prepare?.();
  const redis = await openRedis();
  endings.push(redis.end);
  timeline.say(`Three worker processes, one ${queue.label}, default options, ${kills} times kill -9.`);
  timeline.say();
  const result = await play({ queue, program: `${folder}/worker.mjs`, kills, patience: PATIENCE }, redis);
  let bare;
  if (compare) {
    timeline.say(`\nThe same with ${queue.name} alone. This takes a while.\n`);
    bare = await play({ queue, program: `${folder}/bare.mjs`, kills: 1, patience: BARE_PATIENCE }, redis);
  }
  timeline.say(["", "Verdict", ...verdict(result, bare, queue)].join("\n"));
  if (json) console.log(JSON.stringify(summary(result)));
  return result.lost === 0 ? 0 : 1;
}

/**
 * @param {import("./rounds.mjs").Plan} plan
 * @param {import("./redis.mjs").Server} redis
 */
async function play(plan, redis) {
  const rounds = new Rounds(plan, { url: redis.url, prefix: redis.prefix() }, timeline);
  endings.push(() => rounds.end());
  try {
    return await rounds.play();
  } finally {
    await rounds.end();
  }
}

/* Last opened, first closed; whatever fails, the rest is closed too. */
async function end() {
  for (const step of endings.splice(0).toReversed()) await step().catch(() => {});
}

function options() {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "5" },
      compare: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      queue: { type: "string", default: "bullmq" },
    },
  });
  const wanted = Number(values.kills);
  if (!Number.isInteger(wanted) || wanted < 1) {
    console.error(`--kills: expected a whole number from 1, got ${values.kills}`);
    process.exit(2);
  }
  if (!QUEUES.includes(values.queue)) {
    console.error(`--queue: expected one of ${QUEUES.join(", ")}, got ${values.queue}`);
    process.exit(2);
  }
  return { kills: wanted, compare: values.compare, json: values.json, queue: values.queue };
}
