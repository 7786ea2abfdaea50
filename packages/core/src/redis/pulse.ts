/* Finds a place for the heart: a thread of its own if one can be had, else the main loop, and says so.
 *
 * Without a thread a blocked event loop stops the beats. The registration says `main` then, and the judge gives such
 * an instance four leases for as long as its connection is open, which the kernel keeps open for a blocked process.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { reasonOf } from "../errors.ts";
import { Gate } from "../gate.ts";
import type { Registration } from "../instance.ts";
import type { Pulse, PulseListener } from "../store.ts";
import { Heart } from "./heart.ts";
import type { HeartOptions, HeartSignal } from "./heart.ts";
import type { HeartOrder, ThreadData } from "./pulse-thread.ts";
import type { Presence } from "./roster.ts";
import { recordTurns } from "./turns.ts";

const TURN_INTERVAL = 200;

interface Chamber {
  readonly mode: "thread" | "main";
  update(registration: Registration, version: number): void;
  stop(): Promise<void>;
}

/** Starts to beat. Resolves as soon as the heart has its place, connected or not. */
export function openPulse(options: HeartOptions, listener: PulseListener): Pulse {
  return new RedisPulse(options, listener);
}

class RedisPulse implements Pulse {
  readonly #ready = new Gate();
  lastBeat: number | undefined;
  present = false;
  readonly #listener: PulseListener;
  #chamber: Chamber;
  readonly #waiting = new Map<number, () => void>();
  readonly #presence: Presence;
  #registration: Registration;
  #version = 0;
  #fenced = false;
  #stopped = false;

  constructor(options: HeartOptions, listener: PulseListener) {
    this.#listener = listener;
    this.#presence = options.presence;
    const hear = (signal: HeartSignal): void => this.#hear(signal);
    const moveToMain = (why: string): Chamber => {
      if (!this.#stopped && !this.#fenced) listener.warn(reduced(why));
      return onMain({ ...options, registration: this.#registration }, hear);
    };
    this.#registration = options.registration;
    this.#chamber = inThread(
      options,
      hear,
      (why) => {
        if (this.#stopped || this.#fenced) return;
        this.#chamber = moveToMain(why);
        // What was told to the thread, and never answered.
        if (this.#waiting.size > 0) this.#chamber.update({ ...this.#registration, pulse: "main" }, this.#version);
      },
      moveToMain,
    );
  }

  get ready(): Promise<void> {
    return this.#ready.opened;
  }

  get mode(): "thread" | "main" {
    return this.#chamber.mode;
  }

  async update(registration: Registration): Promise<void> {
    if (this.#fenced || this.#stopped) return; // the heart has stopped: nobody would ever answer
    const version = ++this.#version;
    this.#registration = registration;
    await new Promise<void>((resolve) => {
      this.#waiting.set(version, resolve);
      this.#chamber.update({ ...registration, pulse: this.mode }, version);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.present = false;
    this.#settle(Number.POSITIVE_INFINITY);
    await this.#chamber.stop();
  }

  #hear(signal: HeartSignal): void {
    if (signal.type === "beat") this.#noteBeat(signal.at);
    else if (signal.type === "present") this.#notePresence(signal.present);
    else if (signal.type === "updated") this.#settle(signal.version);
    else if (signal.type === "connection") this.#listener.connection(signal.up, signal.reason);
    else if (signal.type === "warn") this.#noteWarning(signal.message);
    else if (signal.type === "nudged") this.#listener.nudged();
    else this.#fence();
  }

  #noteBeat(at: number): void {
    this.lastBeat = at;
    if (this.#presence === "") this.#ready.open();
  }

  #notePresence(present: boolean): void {
    this.present = present && !this.#stopped;
    if (present) this.#ready.open();
  }

  /* The heart warns when it has to do without presence. */
  #noteWarning(message: string): void {
    this.#listener.warn(message);
    this.#ready.open();
  }

  #fence(): void {
    if (this.#fenced) return;
    this.#fenced = true;
    this.present = false;
    this.#settle(Number.POSITIVE_INFINITY);
    this.#listener.fenced();
  }

  #settle(version: number): void {
    for (const [waiting, resolve] of this.#waiting) {
      if (waiting > version) continue;
      this.#waiting.delete(waiting);
      resolve();
    }
  }
}

function onMain(options: HeartOptions, hear: (signal: HeartSignal) => void): Chamber {
  const heart = new Heart({ ...options, registration: { ...options.registration, pulse: "main" } }, () => 0, hear);
  heart.start();
  return {
    mode: "main",
    update: (registration, version) => heart.update(registration, version),
    stop: () => heart.stop(),
  };
}

/* `died`: the thread ended although nobody asked it to; the heart moves to the main loop then. */
function inThread(
  options: HeartOptions,
  hear: (signal: HeartSignal) => void,
  died: (why: string) => void,
  instead: (why: string) => Chamber,
): Chamber {
  const file = new URL("./pulse-thread.js", import.meta.url);
  if (file.protocol !== "file:" || !existsSync(fileURLToPath(file))) {
    return instead("its file is not beside the program, as in a single-file bundle");
  }
  try {
    return startThread(file, options, hear, died);
  } catch (error) {
    return instead(reasonOf(error)); // e.g. connection options that hold a function cannot cross
  }
}

function startThread(
  file: URL,
  options: HeartOptions,
  hear: (signal: HeartSignal) => void,
  died: (why: string) => void,
): Chamber {
  const turned = new SharedArrayBuffer(8);
  const registration: Registration = { ...options.registration, pulse: "thread" };
  const workerData: ThreadData = { options: { ...options, registration }, turned };
  const thread = new Worker(file, { workerData, execArgv: [], name: "assured-jobs-pulse" });
  const stopTurns = recordTurns(turned, TURN_INTERVAL);
  thread.unref();
  thread.on("message", hear);
  let reason = "it ended by itself";
  thread.on("error", (error) => (reason = reasonOf(error)));
  const gone = new Promise<void>((resolve) => {
    thread.once("exit", () => {
      stopTurns();
      resolve();
      died(reason);
    });
  });
  return {
    mode: "thread",
    update: (update, version) => thread.postMessage({ update, version } satisfies HeartOrder),
    stop: async () => {
      thread.ref();
      thread.postMessage({ stop: true } satisfies HeartOrder);
      await gone;
    },
  };
}

const reduced = (why: string): string =>
  `The pulse runs on the main loop because a thread cannot be had (${why}). A blocked event loop then stops its beats; deaths are still told from blocks by the open connection.`;
