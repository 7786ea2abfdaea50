/* Real processes of a test, and what they told before they died. A process tells by messages to its parent, each with a
 * `type`, and answers `{ call, args, order }` with `{ type: "answer", order, result }`. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { until } from "@assured-jobs/core/testing";

/** What a process tells; more fields by type. */
export interface Told {
  readonly type: string;
  readonly id?: string;
  readonly run?: number;
  readonly code?: string;
  readonly payload?: never;
  readonly order?: number;
  readonly result?: unknown;
  readonly at: number;
  readonly process: Member;
}

export class Member {
  readonly child: ChildProcess;
  readonly told: Told[] = [];
  readonly name: string;
  incarnation = "";
  #orders = 0;

  constructor(child: ChildProcess, name: string, log: Told[]) {
    this.name = name;
    this.child = child;
    child.on("message", (message: Omit<Told, "at" | "process">) => {
      const told: Told = { ...message, at: performance.now(), process: this };
      this.told.push(told);
      log.push(told);
    });
  }

  all(type: string, id?: string): Told[] {
    return this.told.filter((told) => told.type === type && (id === undefined || told.id === id));
  }

  heard(type: string, id?: string, timeout = 15_000): Promise<Told> {
    return until(`a process tells ${type} ${id ?? ""}`, () => this.all(type, id).at(0), timeout);
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }

  get isGone(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  freeze(): void {
    this.child.kill("SIGSTOP");
  }

  thaw(): void {
    this.child.kill("SIGCONT");
  }

  /** Calls something in the process; see process.mjs. */
  async ask<T>(call: string, ...args: unknown[]): Promise<T> {
    const order = ++this.#orders;
    this.child.send({ call, args, order });
    const answer = await until(`${call} is answered`, () => this.told.find((told) => told.order === order), 30_000);
    return answer.result as T;
  }
}

/** Told what to undo when the test is over. */
export type Cleanup = (undo: () => Promise<void> | void) => void;

/** Starts `program` as a process of its own, which is killed when the test is over. What it tells is added to `log`. */
export function enlist(
  program: URL,
  { name, env }: { readonly name: string; readonly env: Readonly<Record<string, string>> },
  { log, cleanup }: { readonly log: Told[]; readonly cleanup: Cleanup },
): Member {
  const child = fork(program, [], { env: { ...process.env, ...env } });
  cleanup(() => void child.kill("SIGKILL"));
  return new Member(child, name, log);
}
