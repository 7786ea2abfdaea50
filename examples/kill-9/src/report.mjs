/* From a worker process to the demo. A real program has none of this. */

/**
 * @typedef {{ type: "ready" }
 *   | { type: "runs", id: string }
 *   | { type: "completed", id: string }
 *   | { type: "dead", name: string, evidence: string }
 *   | { type: "recovered", id: string }
 *   | { type: "trouble", text: string }} Report
 */

/** @param {Report} report */
export function tell(report) {
  if (process.connected) process.send?.(report, undefined, undefined, () => {});
}

export const ready = () => tell({ type: "ready" });

/** @param {import("@assured-jobs/core").Assurance} assurance */
export function reportOn(assurance) {
  assurance.on("instance.started", ready);
  assurance.on("instance.dead", ({ death }) =>
    tell({ type: "dead", name: death.registration.name, evidence: death.evidence }),
  );
  assurance.on("orphan.recovered", ({ orphan }) => tell({ type: "recovered", id: orphan.id }));
  assurance.on("orphan.failed", ({ orphan, error }) =>
    tell({ type: "trouble", text: `job ${orphan.id}: ${String(error)}` }),
  );
  assurance.on("warning", ({ message }) => tell({ type: "trouble", text: message }));
  assurance.on("error", ({ during, error }) => tell({ type: "trouble", text: `${during}: ${String(error)}` }));
}

// The demo is gone, however it ended: so are we.
process.on("disconnect", () => process.exit());
