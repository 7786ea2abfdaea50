/* Sets that this machine can have. On CI that must be all of them: there, nothing is passed over. */
import { type SetName, rubyAvailable } from "../src/index.mjs";

const all: readonly SetName[] = ["sidekiq6", "sidekiq7", "sidekiq8"];

const reasons = await Promise.all(all.map(async (set) => ({ set, reason: await rubyAvailable(set) })));
for (const { set, reason } of reasons) if (reason) console.warn(`${set} is not available: ${reason}`);

export const sets = process.env["CI"] ? all : reasons.filter(({ reason }) => !reason).map(({ set }) => set);
