/* The work itself: takes its time, and tells the demo when it begins. */
import { setTimeout as sleep } from "node:timers/promises";
import { tell } from "../report.mjs";

/** @param {import("bullmq").Job} job */
export async function sendEmail(job) {
  tell({ type: "runs", id: String(job.id) });
  await sleep(job.data.takes);
}
