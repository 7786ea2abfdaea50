/* A process with real pulses, in their threads, for tests that kill it. It ends with the one who started it.
 *
 * Started with one argument, JSON: the module of core, the module and the name of the user's client, its arguments,
 * namespace, and the registrations. Prints one line for each pulse that is ready, and one for each warning. */
const { core, ioredis, kind, args, namespace, registrations } = JSON.parse(process.argv[2]);
const { redisStore } = await import(core);
const clients = await import(ioredis);

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
process.stdin.resume().on("end", () => process.exit());

for (const registration of registrations) {
  const store = redisStore({ client: new clients[kind](...args), namespace });
  const { incarnation } = registration;
  const pulse = await store.pulse(registration, {
    fenced: () => say({ fenced: incarnation }),
    nudged: () => {},
    connection: (up) => say({ connection: incarnation, up }),
    warn: (warning) => say({ incarnation, warning }),
  });
  void pulse.ready.then(() => say({ ready: incarnation, mode: pulse.mode, present: pulse.present }));
}
