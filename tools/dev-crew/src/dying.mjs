/* Kills the process right after a chosen step of its recovery: at the point where the step has happened and nobody,
 * this process included, has heard of it. */
const STEPS = {
  roster: ["declare"],
  casebook: ["open", "pending", "settle", "admit", "dismiss", "suspects"],
  ledger: ["quarantine", "unquarantine"],
};
const MOVES = ["heldBy", "requeue", "bury"];

export function dyingAfter(count, { store, adapter }) {
  let left = count;
  const watch = (owner, name) => {
    const original = owner[name].bind(owner);
    owner[name] = async (...args) => {
      const answer = await original(...args);
      if (--left === 0) {
        process.kill(process.pid, "SIGKILL");
        await new Promise(() => {});
      }
      return answer;
    };
  };
  for (const [part, names] of Object.entries(STEPS)) for (const name of names) watch(store[part], name);
  for (const name of MOVES) watch(adapter, name);
}
