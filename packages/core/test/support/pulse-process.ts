/* Processes that beat for real: the built package, a thread for each pulse, and SIGKILL at the end. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Registration } from "@assured-jobs/core";
import { eventually } from "./eventually.ts";

/** The client that the user gives to redisStore(). */
export interface UserClient {
  /** `ioredis`, or the alias of its former version. */
  readonly library: "ioredis" | "ioredis5";
  readonly kind: "Cluster" | "Redis";
  readonly args: readonly unknown[];
}

interface Line {
  readonly ready?: string;
  readonly mode?: string;
  readonly present?: boolean;
  readonly fenced?: string;
  readonly warning?: string;
  readonly connection?: string;
  readonly up?: boolean;
}

export interface PulseProcessOptions {
  readonly client: UserClient;
  readonly namespace: string;
  readonly registrations: readonly Registration[];
  /** Module of core, when it is not this package itself. */
  readonly core?: string;
}

const PROGRAM = fileURLToPath(new URL("pulse-process.mjs", import.meta.url));

export class PulseProcess {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;

  constructor({ client, core = "@assured-jobs/core", namespace, registrations }: PulseProcessOptions) {
    const { library: ioredis, kind, args } = client;
    const plan = { core, ioredis, kind, args, namespace, registrations };
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(plan)], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface(this.#child.stdout!).on("line", (line) => this.lines.push(JSON.parse(line) as Line));
  }

  get ready(): Line[] {
    return this.lines.filter(({ ready }) => ready !== undefined);
  }

  get fenced(): Line[] {
    return this.lines.filter(({ fenced }) => fenced !== undefined);
  }

  /** Resolves when each of them was seen by the store. */
  async areReady(count: number): Promise<void> {
    await eventually(`${count} pulses are ready`, () => this.ready.length === count);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
