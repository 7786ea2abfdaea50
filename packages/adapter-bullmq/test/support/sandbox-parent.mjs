/* A process with one sandboxed worker. Arguments: BullMQ, port, queue, fork options. */
const [bullmq, port, queue, forkOptions] = process.argv.slice(2);
const { default: both, ...named } = await import(bullmq);
const { Worker } = both ?? named;
const worker = new Worker(queue, new URL("sandboxed.cjs", import.meta.url), {
  connection: { host: "127.0.0.1", port: Number(port) },
  workerForkOptions: JSON.parse(forkOptions),
});
worker.on("error", () => {});
