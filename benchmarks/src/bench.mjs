/* The front door: `npm run bench -- NAME [options]`. Rows for people as they come; with --json they go to standard
 * error, and the last line of standard output is the result as one object. */
import { killAll } from "./child.mjs";
import { detection } from "./detection/detection.mjs";
import { fleet } from "./fleet/fleet.mjs";
import { onlyQueue, queue, readOptions, UsageError, whole, wholes, yesNo } from "./options.mjs";
import { recovery } from "./recovery/recovery.mjs";
import { throughput } from "./throughput/throughput.mjs";
import { tracking } from "./tracking/tracking.mjs";

const benchmarks = {
  tracking: {
    about: "throughput with assurance as a share of that without",
    options: {
      queue,
      runs: whole(1, "5"),
      concurrency: wholes(1, "1,10,50,100"),
      "job-ms": wholes(0, "0,1"),
      seconds: whole(1, "2"),
      "current-job": yesNo("yes"),
    },
    run: tracking,
  },
  recovery: {
    about: "orphans given back in a second, and the slowest single call to Redis",
    options: { queue, runs: whole(1, "5"), orphans: whole(1, "10000") },
    run: recovery,
  },
  detection: {
    about: "from SIGKILL until the job runs in another process",
    options: { queue, n: whole(1, "20"), backlog: whole(0, "0") },
    run: detection,
  },
  throughput: {
    about: "no-op jobs per second beside Sidekiq in Ruby, and beside plain BRPOP loops",
    options: {
      queue: onlyQueue("sidekiq"),
      runs: whole(1, "5"),
      concurrency: whole(1, "10"),
      seconds: whole(1, "2"),
      ruby: yesNo("yes"),
    },
    run: throughput,
  },
  fleet: {
    about: "what many idle instances cost Redis, and how long a look at them takes",
    options: { queue, instances: wholes(1, "1000,10000"), seconds: whole(1, "30") },
    run: fleet,
  },
};

try {
  await main(process.argv.slice(2));
} catch (error) {
  killAll();
  const wrong = error instanceof UsageError;
  console.error(wrong ? error.message : error);
  process.exitCode = wrong ? 2 : 1;
}

/** @param {readonly string[]} args */
async function main([name = "", ...args]) {
  const benchmark = Object.entries(benchmarks).find(([one]) => one === name)?.[1];
  if (!benchmark) throw new UsageError(usage());
  const { json, values } = readOptions(args, benchmark.options);
  const say = json ? console.error : console.log;
  const result = await benchmark.run(/** @type {never} */ (values), (line = "") => say(line));
  if (json) console.log(JSON.stringify(result));
}

function usage() {
  const lines = Object.entries(benchmarks).map(([name, { about, options }]) => {
    const shown = Object.entries(options).map(
      ([option, { shown: value, fallback }]) => `--${option} ${value} (${fallback})`,
    );
    return `  ${name.padEnd(10)} ${about}\n${" ".repeat(13)}${shown.join(", ")}`;
  });
  return ["usage: npm run bench -- NAME [options] [--json]", ...lines].join("\n");
}
