/* Starts a console and a worker, tells their pids, and never stops them. */
import { startRuby, startSidekiq } from "../src/index.mjs";

const [set, redisUrl] = process.argv.slice(2);
const ruby = await startRuby(set, { redisUrl });
const sidekiq = await startSidekiq(set, { redisUrl });
process.stdout.write(`${JSON.stringify([ruby.pid, sidekiq.pid])}\n`);
