/* The child's end of the wire to the benchmark. A child whose benchmark is gone, however it ended, ends too. */

/** The task that the benchmark gave; each program says of what type its own is. @returns {any} */
export const task = () => JSON.parse(process.argv[2] ?? "{}");

/** @param {import("./child.mjs").Message} message */
export function tell(message) {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

process.on("disconnect", () => process.exit());
