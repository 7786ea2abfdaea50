/* The work itself: takes its time, and tells the demo when it begins. */
import { setTimeout as sleep } from "node:timers/promises";
import { tell } from "../report.mjs";

/** @param {import("@assured-jobs/adapter-sidekiq").SidekiqJob} job */
export async function sendEmail(job) {
  tell({ type: "runs", id: job.jid });
  const [seconds] = job.args;
  await sleep(Number(seconds) * 1_000);
}
