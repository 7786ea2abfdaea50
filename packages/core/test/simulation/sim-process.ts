/* One simulated process of the second layer: a whole assurance with its worker, its pulse, its paths and its clocks. */
import { createAssurance } from "../../src/assurance.ts";
import type { Assurance } from "../../src/assurance.ts";
import type { AssuranceOptions } from "../../src/options.ts";
import type { Member } from "../../src/memory/records.ts";
import type { HeldJob, MemoryServer } from "../../src/testing/index.ts";
import type { Store } from "../../src/store.ts";
import { far } from "./far.ts";
import { farPulse } from "./far-pulse.ts";
import type { Socket, Thread } from "./far-pulse.ts";
import { Lane } from "./lane.ts";
import { NAMESPACE } from "./oracle.ts";
import type { NearStore, Oracle } from "./oracle.ts";
import type { ObservedQueue } from "./observed-queue.ts";
import { Path } from "./path.ts";
import type { Cut, Weather } from "./path.ts";
import type { World } from "./world.ts";
import { WorkerAdapter } from "./worker-adapter.ts";
import type { Work } from "./worker-adapter.ts";

/** One whose loop turns again needs so long until it is seen and heard again, ms. */
const AFTERMATH = 500;

export interface ProcessOptions {
  readonly world: World;
  readonly server: MemoryServer;
  readonly oracle: Oracle;
  /** The store as it is on the server, under the oracle's eyes. */
  readonly near: NearStore;
  readonly queues: readonly ObservedQueue[];
  readonly concurrency: number;
  readonly pulse: "thread" | "main";
  readonly workOf: (id: string) => Work;
  readonly settings: Omit<AssuranceOptions, "adapters" | "store" | "name">;
  readonly newHolder: () => string;
}

export class SimProcess {
  readonly name: string;
  readonly main: Lane;
  readonly adapters: readonly WorkerAdapter[];
  /** Every incarnation that it has been. */
  readonly incarnations = new Set<string>();
  isLeaving = false;
  /** When it last could not act or be reached as it should, and whether that goes on. */
  impaired: { at: number; goesOn: number } = { at: -Infinity, goesOn: 0 };
  #assurance: Assurance | undefined;
  readonly #options: ProcessOptions;
  readonly #thread: Thread;
  readonly #paths: readonly [store: Path, queue: Path, pulse: Path];
  readonly #sockets: Socket[] = [];

  constructor(name: string, options: ProcessOptions) {
    const { world, server, near, pulse, queues } = options;
    this.name = name;
    this.#options = options;
    this.main = new Lane(world.clock, name);
    const own = pulse === "main" ? this.main : new Lane(world.clock, `${name}'s pulse`);
    const pathOf = (lane: Lane): Path => new Path({ world, lane, kill: () => this.kill() });
    this.#paths = [pathOf(this.main), pathOf(this.main), pathOf(own)];
    const roster = far(this.#paths[2], "roster", near.roster);
    this.#thread = { world, server, main: this.main, own, path: this.#paths[2], roster };
    this.adapters = queues.map((queue) => this.#adapterOf(queue));
    world.clock.schedule(this.main, 0, () => void this.#start());
  }

  get isDead(): boolean {
    return this.main.isDead;
  }

  get incarnation(): string | undefined {
    return this.#assurance?.instance.incarnation;
  }

  get phase(): string {
    return this.#assurance?.instance.phase ?? "new";
  }

  /** It lives, the fleet knows it, and it fetches. */
  get isWell(): boolean {
    return this.phase === "member" && this.adapters.every(({ isFetching }) => isFetching) && this.#member !== undefined;
  }

  /** The watch has seen its subscription. */
  get isSeen(): boolean {
    return this.#member?.seen !== undefined;
  }

  get #member(): Member | undefined {
    return this.#options.oracle.records.members.get(this.incarnation!);
  }

  runs({ id, holder }: HeldJob): boolean {
    return !this.isDead && this.adapters.some(({ running }) => running.get(holder)?.has(id) === true);
  }

  /** It lives, and fetches under this id. */
  holdsAs(holder: string): boolean {
    return !this.isDead && this.adapters.some((adapter) => adapter.holder === holder && adapter.isFetching);
  }

  set weather(weather: Weather) {
    for (const path of this.#paths.slice(0, 2)) path.weather = weather;
  }

  kill(): void {
    if (this.isDead) return;
    const { oracle, world } = this.#options;
    world.note(this.name, "is killed");
    this.#impair();
    for (const incarnation of this.incarnations) {
      const member = oracle.records.members.get(incarnation);
      if (member) oracle.died(incarnation, new Set(Object.values(member.registration.holders).flat()));
    }
    this.#end();
  }

  /** SIGSTOP, and SIGCONT after so many ms. */
  pause(ms: number): void {
    const lanes = new Set([this.main, this.#thread.own]);
    this.#options.world.note(this.name, "is paused", ms);
    this.#impair();
    for (const lane of lanes) lane.pause();
    this.#options.world.clock.schedule(undefined, ms, () => {
      for (const lane of lanes) lane.resume();
      this.#recover();
    });
  }

  /** Its event loop does not turn for so many ms; one that stands still already cannot be blocked on top. */
  block(ms: number): void {
    if (this.main.isPaused) return;
    this.#options.world.note(this.name, "is blocked", ms);
    this.main.pause();
    this.#options.world.clock.schedule(undefined, ms, () => this.main.resume());
  }

  /** Its pulse stands still with its loop, or did until just now. */
  get isMute(): boolean {
    return this.#thread.own === this.main && this.#options.world.clock.now - this.main.lastPaused < AFTERMATH;
  }

  /** And the path broke meanwhile: nobody can tell that from a death. */
  get isMuteAndUnseen(): boolean {
    return this.isMute && !this.#sockets.some(({ isOpen }) => isOpen);
  }

  cut(how: Cut, ms: number): void {
    this.#options.world.note(this.name, `is cut off (${how})`, ms);
    this.#impair();
    this.#cut(how, ms, () => this.#recover());
  }

  /** Together with so many others that nobody takes it for dead. */
  cutInACrowd(ms: number): void {
    this.#options.world.note(this.name, "is cut off with all others", ms);
    this.#cut("reset", ms, () => {});
  }

  /** It reaches the store, and not the queues. */
  cutFromQueues(how: Cut, ms: number): void {
    const { world } = this.#options;
    world.note(this.name, `is cut off from the queues (${how})`, ms);
    this.#paths[1].cut(how);
    world.clock.schedule(undefined, ms, () => this.#paths[1].heal());
  }

  /** SIGTERM: it hands over and exits. */
  leave(): void {
    if (this.isLeaving || this.isDead) return;
    this.isLeaving = true;
    const { world } = this.#options;
    world.note(this.name, "leaves");
    world.clock.schedule(this.main, 0, () => void this.#leave());
  }

  async #leave(): Promise<void> {
    const { world, oracle, queues } = this.#options;
    const { left } = await this.#assurance!.stop();
    world.note(this.name, "has left", left);
    const holders = new Set(this.adapters.flatMap(({ holders: all }) => all));
    // Of a fetch that arrives when its sender has given it up nobody knows but the queue, whose own rule it is left to.
    const begun = queues.flatMap((queue) => queue.heldBy(holders)).filter((job) => this.runs(job));
    const kept = left === 0 ? begun : [];
    const known = [...this.incarnations].some((incarnation) => oracle.records.dead.get(incarnation));
    if (kept.length > 0 && !known) world.broken(`${this.name} left, and job ${kept[0]!.id} is held by nobody`);
    this.#end();
  }

  async #start(): Promise<void> {
    const { world, settings } = this.#options;
    const adapters = this.adapters.map(({ contract }) => contract);
    this.#assurance = createAssurance({ ...settings, name: this.name, adapters, store: this.#store() });
    for (const event of ["instance.fenced", "instance.dead", "orphan.failed", "error", "warning"] as const)
      this.#assurance.on(event, (payload) => world.note(this.name, event, JSON.stringify(payload)));
    this.#assurance.on("instance.reborn", ({ incarnation }) => this.#reborn(incarnation));
    try {
      await this.#assurance.start();
      world.note(this.name, "has started");
    } catch (error) {
      world.broken(`${this.name} could not start: ${String(error)}`);
    }
  }

  #reborn(incarnation: string): void {
    this.#options.world.note(this.name, "is reborn", incarnation);
    const former = this.adapters.some((adapter) => adapter.isBusyAsBefore);
    if (former) this.#options.world.broken(`${this.name} was reborn while a run of its former life went on`);
  }

  #store(): Store {
    const { near } = this.#options;
    const path = this.#paths[0];
    const roster = far(path, "roster", near.roster);
    return {
      namespace: NAMESPACE,
      roster: { ...roster, register: (registration) => this.#seen(registration, roster.register(registration)) },
      casebook: far(path, "casebook", near.casebook),
      ledger: far(path, "ledger", near.ledger),
      open: () => path.call("open", () => near.open()),
      close: async () => {},
      pulse: async (registration, listener) =>
        this.#seen(
          registration,
          farPulse(this.#thread, registration, listener, (socket) => this.#sockets.push(socket)),
        ),
    };
  }

  #seen<T>({ incarnation }: { incarnation: string }, then: T): T {
    this.incarnations.add(incarnation);
    return then;
  }

  #adapterOf(queue: ObservedQueue): WorkerAdapter {
    const { concurrency, workOf, newHolder } = this.#options;
    return new WorkerAdapter({
      queue,
      path: this.#paths[1],
      concurrency,
      workOf,
      newHolder,
      isOwn: (incarnation) => this.isLeaving && incarnation === this.incarnation,
      kill: () => this.kill(),
      block: (ms) => this.block(ms),
    });
  }

  #end(): void {
    this.main.kill();
    this.#thread.own.kill();
    for (const socket of this.#sockets) socket.die();
  }

  #cut(how: Cut, ms: number, healed: () => void): void {
    for (const path of this.#paths) path.cut(how);
    if (how === "reset") for (const socket of this.#sockets) socket.reset();
    this.#options.world.clock.schedule(undefined, ms, () => {
      for (const path of this.#paths) path.heal();
      for (const socket of this.#sockets) socket.heal();
      healed();
    });
  }

  #impair(): void {
    this.impaired = { at: this.#options.world.clock.now, goesOn: this.impaired.goesOn + 1 };
  }

  #recover(): void {
    this.impaired = { at: this.#options.world.clock.now, goesOn: this.impaired.goesOn - 1 };
  }
}
