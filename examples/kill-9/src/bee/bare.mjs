/* The same worker with Bee-Queue alone, for --compare. */
import BeeQueue from "bee-queue";
import { sendEmail } from "./processor.mjs";
import { ready } from "../report.mjs";

const redis = /** @type {never} */ (process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const queue = new BeeQueue("emails", { redis, prefix: process.env.QUEUE_PREFIX ?? "bq" });
queue.on("error", (error) => console.error(error.message));
queue.process(sendEmail);
await queue.ready();
ready();
