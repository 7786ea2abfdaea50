/* A Bee-Queue worker like any other. What makes its jobs survive the death of this process stands between the two lines. */
import BeeQueue from "bee-queue";
import { beeAdapter } from "@assured-jobs/adapter-bee";
import { createAssurance } from "@assured-jobs/core";
import { sendEmail } from "./processor.mjs";
import { reportOn } from "../report.mjs";

const redis = /** @type {never} */ (process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const queue = new BeeQueue("emails", { redis, prefix: process.env.QUEUE_PREFIX ?? "bq" });
queue.on("error", (error) => console.error(error.message));

// ------------------------------------------------------------------------------------------
const assurance = createAssurance({ adapters: [beeAdapter({ queues: [queue] })] });
reportOn(assurance); // only for the timeline of this demo
await assurance.start();
// ------------------------------------------------------------------------------------------

queue.process(sendEmail);
