/* A BullMQ worker like any other. What makes its jobs survive the death of this process stands between the two lines. */
import { Worker } from "bullmq";
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { createAssurance } from "@assured-jobs/core";
import { sendEmail } from "./processor.mjs";
import { reportOn } from "../report.mjs";

const connection = { url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" };
const worker = new Worker("emails", sendEmail, { connection, prefix: process.env.QUEUE_PREFIX ?? "bull" });
worker.on("error", (error) => console.error(error.message));

// ------------------------------------------------------------------------------------------
const assurance = createAssurance({ adapters: [bullmqAdapter({ workers: [worker] })] });
reportOn(assurance); // only for the timeline of this demo
await assurance.start();
// ------------------------------------------------------------------------------------------
