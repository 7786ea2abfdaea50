/* How fast the jobs of one dead process go back: real jobs of a real process that was really killed, each round on an
 * empty server. The clock runs from the start of the pass until it has settled the last of them. Sidekiq's are given back
 * beside the gem, round by round: the ratio is of neighbours. */
import { Child } from "../child.mjs";
import { loadQueue } from "../queues/index.mjs";
import { onServer } from "../server.mjs";
import { slowestCall, watchCalls } from "../slowest.mjs";
import { median, rounded } from "../statistics.mjs";
import { Table } from "../table.mjs";
import { gemMissing, passOfGem } from "./gem.mjs";

/**
 * @param {{ queue: string, orphans: number, runs: number }} options
 * @param {import("../table.mjs").Say} say
 */
export function recovery({ queue, orphans, runs }, say) {
  return onServer(async (server) => {
    const missing = queue === "sidekiq" ? await gemMissing() : undefined;
    if (missing !== undefined) say(`The gem is not measured: ${missing}`);
    const hasGem = queue === "sidekiq" && missing === undefined;
    const beside = hasGem ? ["gem/s", "ratio"] : [];
    const table = new Table(say, ["round", "orphans", "ms", "orphans/s", "slowest call ms", ...beside, "which"]);
    const rounds = [];
    for (let n = 1; n <= runs; n++) {
      const round = await play(server, queue, orphans);
      const gem = hasGem ? await passOfGem(server, orphans) : undefined;
      rounds.push({ ...round, gem });
      const { ms, slowest } = round;
      const ratio = gem === undefined ? [] : [Math.round(perSecond(orphans, gem)), rounded(gem / ms, 2)];
      table.row([n, orphans, Math.round(ms), Math.round(perSecond(orphans, ms)), slowest.ms, ...ratio, slowest.call]);
    }
    const speed = Math.round(median(rounds.map(({ ms }) => perSecond(orphans, ms))));
    const slowestRedisCallMs = rounded(Math.max(...rounds.map(({ slowest }) => slowest.ms)), 3);
    const ratios = rounds.flatMap(({ gem, ms }) => (gem === undefined ? [] : [gem / ms]));
    const timesTheGem = ratios.length === 0 ? {} : { timesTheGem: rounded(median(ratios), 2) };
    return { recovery: { queue, orphans, perSecond: speed, slowestRedisCallMs, ...timesTheGem } };
  });
}

/**
 * @param {import("../server.mjs").Server} server
 * @param {string} queue
 * @param {number} orphans
 */
async function play({ url, redis }, queue, orphans) {
  await redis.flushall("SYNC");
  const where = { url, name: "recovery" };
  const producer = (await loadQueue(queue)).openQueue(where);
  await producer.add(orphans);
  const holder = new Child("recovery/holder.mjs", { queue, where, orphans });
  const recoverer = new Child("recovery/recoverer.mjs", { queue, where });
  try {
    await Promise.all([holder.next("holding"), recoverer.next("ready")]);
    const dead = recoverer.next("dead");
    await holder.kill();
    await dead;
    await watchCalls(redis);
    recoverer.send({ type: "recover" });
    const { ms, requeued } = await recoverer.next("recovered");
    const slowest = await slowestCall(redis);
    const waiting = await producer.waiting();
    if (requeued !== orphans || waiting !== orphans)
      throw new Error(`of ${orphans} orphans ${String(requeued)} were requeued, and ${waiting} jobs wait`);
    return { ms: Number(ms), slowest };
  } finally {
    await Promise.all([holder.kill(), recoverer.kill(), producer.close()]);
  }
}

/** @param {number} orphans @param {number} ms */
const perSecond = (orphans, ms) => (orphans / ms) * 1_000;
