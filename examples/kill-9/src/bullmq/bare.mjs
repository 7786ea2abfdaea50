/* The same worker with BullMQ alone, for --compare. */
import { Worker } from "bullmq";
import { sendEmail } from "./processor.mjs";
import { ready } from "../report.mjs";

const connection = { url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" };
const worker = new Worker("emails", sendEmail, { connection, prefix: process.env.QUEUE_PREFIX ?? "bull" });
worker.on("error", (error) => console.error(error.message));
await worker.waitUntilReady();
ready();
