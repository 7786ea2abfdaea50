/* The lines that a user adds to a program, and what they may complain about. */
import { createAssurance } from "@assured-jobs/core";

/**
 * @param {import("@assured-jobs/core").QueueAdapter} adapter
 * @param {import("@assured-jobs/core").AssuranceOptions} [options]
 */
export async function assure(adapter, options = {}) {
  const assurance = createAssurance({ adapters: [adapter], ...options });
  assurance.on("warning", ({ message }) => console.error(message));
  assurance.on("error", ({ during, error }) => console.error(`${during}: ${String(error)}`));
  await assurance.start({ required: true });
  return assurance;
}
