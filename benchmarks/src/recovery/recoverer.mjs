/* The whole recoverer in a fresh process, which waits for the word to begin: the death is declared by then, and what is
 * measured is the pass. */
import { assure } from "../assure.mjs";
import { loadQueue } from "../queues/index.mjs";
import { task, tell } from "../wire.mjs";

/** @type {{ queue: string, where: import("../queues/contract.d.ts").Where }} */
const { queue, where } = task();
const { openQueue } = await loadQueue(queue);

const assurance = await assure(openQueue(where).adapter(), { name: "recoverer", autoRecovery: false });
assurance.on("instance.dead", () => tell({ type: "dead" }));
process.on("message", () => void recover());
tell({ type: "ready" });

async function recover() {
  const from = performance.now();
  const { requeued } = await assurance.recover();
  tell({ type: "recovered", requeued, ms: performance.now() - from });
}
