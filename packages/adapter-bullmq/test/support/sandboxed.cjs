/* A sandboxed processor that says who it is, and then never ends: in a busy loop when the job asks for it. */
module.exports = async (job) => {
  await job.updateProgress(process.pid);
  if (job.data.busy) for (;;);
  await new Promise(() => setInterval(() => {}, 1_000));
};
