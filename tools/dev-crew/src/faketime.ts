/* Wall clocks that are wrong, for real: libfaketime in front of a process of its own, Node or Redis.
 *
 * Only the wall clock lies. Monotonic time goes on as it is, as on a machine whose clock was set.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Cleanup } from "./index.ts";

const run = promisify(execFile);

const NAME = "libfaketime.so.1";
const PACKAGE = "libfaketime";
const HOMES = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib"];

/** Path of the library, or why it cannot be had. Where apt can, it is fetched, and unpacked beside the tests only. */
export async function findFaketime(): Promise<{ library?: string; missing?: string }> {
  const library = (await installed()) ?? (await unpacked().catch(() => undefined));
  if (library !== undefined) return { library };
  return { missing: `${NAME} is not on this machine and apt cannot bring it: install ${PACKAGE}` };
}

async function installed(): Promise<string | undefined> {
  for (const home of HOMES) {
    const folders = await readdir(home).catch(() => []);
    for (const folder of ["", ...folders]) {
      const file = join(home, folder, "faketime", NAME);
      if (existsSync(file)) return file;
    }
  }
  return undefined;
}

/* Kept for the next run; moved into place whole, since several test files may look at once. */
async function unpacked(): Promise<string | undefined> {
  const kept = join(tmpdir(), "assured-jobs-faketime");
  if (!existsSync(kept)) {
    const dir = await mkdtemp(join(tmpdir(), "faketime-"));
    const options = { cwd: dir };
    await run("apt-get", ["download", PACKAGE], options).catch(async () => {
      await run("apt-get", ["update"], options);
      await run("apt-get", ["download", PACKAGE], options);
    });
    const archive = (await readdir(dir)).find((name) => name.endsWith(".deb"));
    await run("dpkg", ["-x", archive ?? "", join(dir, "root")], options);
    await rename(join(dir, "root"), kept).catch(() => undefined); // another one was faster
    await rm(dir, { recursive: true, force: true });
  }
  const found = await readdir(kept, { recursive: true });
  const file = found.find((name) => name.endsWith(`/${NAME}`));
  return file === undefined ? undefined : join(kept, file);
}

/** A clock that can be set while the processes that read it run. */
export class Clock {
  readonly #file: string;
  readonly #library: string;

  private constructor(library: string, file: string) {
    this.#library = library;
    this.#file = file;
  }

  static async open(library: string, cleanup: Cleanup, hours = 0): Promise<Clock> {
    const dir = await mkdtemp(join(tmpdir(), "clock-"));
    cleanup(() => rm(dir, { recursive: true, force: true }));
    const clock = new Clock(library, join(dir, "time"));
    await clock.set(hours);
    return clock;
  }

  /** What a process needs in its environment to go by this clock. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: "1", // s; to read the file for each question would cost more than all of the work
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  /**
   * Starts what hands the environment of this process on, such as a Redis, and goes by this clock. Nothing else may start
   * meanwhile. The C library comes before the allocator of Redis, which would ask for the time before there is any.
   */
  async startWithin<T>(start: () => Promise<T>): Promise<T> {
    const before = { ...process.env };
    Object.assign(process.env, this.env, { LD_PRELOAD: `${this.#library} libc.so.6` });
    try {
      return await start();
    } finally {
      for (const name of Object.keys(this.env)) {
        if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = before[name];
      }
    }
  }

  /** So many hours from the right time. Moved into place whole: a reader never sees half of it. */
  async set(hours: number): Promise<void> {
    await writeFile(`${this.#file}.new`, `${hours < 0 ? "" : "+"}${hours * 3_600}`);
    await rename(`${this.#file}.new`, this.#file);
  }
}
