/* What goes wrong in a fleet, by theme. In those of calm and of crowds nobody dies, whatever happens to loops, clocks and the store. */
import { RECONNECT } from "./far-pulse.ts";
import type { FleetSchedule } from "./fleet.ts";
import type { Weather } from "./path.ts";
import { between, pick } from "./random.ts";
import type { Random } from "./random.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Work } from "./worker-adapter.ts";

const HOUR = 3_600_000;

type Misfortune =
  | "kill"
  | "pause"
  | "block"
  | "cut one"
  | "cut many"
  | "cut all"
  | "cut from queues"
  | "leave"
  | "store stops"
  | "store is emptied"
  | "store fails over"
  | "store's clock steps"
  | "wall clock steps"
  | "bad weather";

/** What may happen, and to what kinds of jobs. */
const REPERTOIRE = {
  deaths: ["kill", "kill", "pause", "block"],
  paths: ["cut one", "cut one", "cut many", "cut from queues", "bad weather", "pause", "kill"],
  crowds: ["cut all", "cut all", "block", "wall clock steps"],
  calm: ["block", "store stops", "store's clock steps", "wall clock steps", "leave"],
  emptied: ["store is emptied", "store stops", "kill", "pause"],
  failovers: ["store fails over", "kill", "pause", "block"],
  leaving: ["leave", "leave", "kill", "cut one", "cut from queues", "bad weather", "block"],
  pills: ["wall clock steps", "store's clock steps"],
  everything: [
    "kill",
    "pause",
    "block",
    "cut one",
    "cut many",
    "leave",
    "cut from queues",
    "store stops",
    "store fails over",
    "store's clock steps",
    "bad weather",
  ],
} as const satisfies Record<string, readonly Misfortune[]>;

export type Theme = keyof typeof REPERTOIRE;

export const THEMES = Object.keys(REPERTOIRE) as Theme[];

const WEATHERS: readonly Weather[] = [
  { requestLost: 0.05, replyLost: 0.1, slow: 0.1, slowest: 500 },
  { requestLost: 0.2, replyLost: 0.2, slow: 0.3, slowest: 2_000 },
  { requestLost: 0, replyLost: 0, slow: 0.3, slowest: 4_000 },
];
const CALM: Weather = { requestLost: 0, replyLost: 0, slow: 0, slowest: 0 };

export class Chaos {
  readonly pulse: "thread" | "main";
  readonly #fleet: FleetSchedule;
  readonly #random: Random;
  readonly #skewed: boolean;
  #stops = 0;
  /** When all are back from the last cut of a crowd. */
  #wholeAt = -Infinity;
  #isOver = false;

  constructor(fleet: FleetSchedule) {
    this.#fleet = fleet;
    this.#random = fleet.world.random;
    this.pulse = this.#random() < 0.8 ? "thread" : "main";
    this.#skewed = this.#random() < 0.5;
  }

  start(): void {
    const { clock } = this.#fleet.world;
    for (let i = between(this.#random, 1, 7); i > 0; i--)
      clock.schedule(undefined, between(this.#random, 1_000, 14_000), () => this.#strike());
    this.#supervise();
  }

  born(process: SimProcess): void {
    if (this.#skewed) process.main.skew = between(this.#random, -5 * HOUR, 5 * HOUR);
  }

  work(): Work {
    const kinds: readonly Work["kind"][] =
      this.#fleet.theme === "pills"
        ? ["kills", "ends", "ends", "heeds"]
        : this.#fleet.theme === "calm" || this.#fleet.theme === "crowds"
          ? ["ends", "heeds", "fails", "blocks"]
          : ["ends", "ends", "heeds", "heeds", "fails", "blocks", "kills"];
    const kind = pick(this.#random, kinds);
    const longest = pick(this.#random, [20, 500, 5_000, 12_000]);
    return { kind, ms: between(this.#random, 1, kind === "blocks" ? Math.min(longest, 8_000) : longest) };
  }

  /** Whatever went wrong is well again. */
  end(): void {
    this.#isOver = true;
    this.#fleet.world.fates.end();
    for (const process of this.#fleet.processes) process.weather = CALM;
    this.#startStore();
  }

  /* Those who die are started again under their name, soon or late. */
  #supervise(): void {
    if (this.#isOver) return;
    for (const [slot, process] of this.#fleet.slots.entries())
      if (process?.isDead && this.#random() < 0.3) this.#fleet.startProcess(slot);
    this.#fleet.world.clock.schedule(undefined, between(this.#random, 100, 2_000), () => this.#supervise());
  }

  #strike(): void {
    const { world, theme, processes } = this.#fleet;
    const what: Misfortune = pick<Misfortune>(this.#random, REPERTOIRE[theme]);
    const ms = pick(this.#random, [100, 1_000, 4_000, 10_000]) + between(this.#random, 0, 1_000);
    if (this.#isOver || processes.length === 0 || !world.fates.strikes(1)) return;
    this.#misfortunes[what](pick(this.#random, processes), ms);
  }

  readonly #misfortunes: Readonly<Record<Misfortune, (victim: SimProcess, ms: number) => void>> = {
    kill: (victim) => victim.kill(),
    pause: (victim, ms) => victim.pause(ms),
    block: (victim, ms) => victim.block(Math.min(ms, 8_000)),
    leave: (victim) => victim.leave(),
    "cut one": (victim, ms) => victim.cut(this.#how(), ms),
    "cut many": (_victim, ms) => this.#cutMany(ms),
    "cut all": () => this.#cutAll(),
    "cut from queues": (victim, ms) => victim.cutFromQueues(this.#how(), ms),
    "store stops": (_victim, ms) => this.#stopStore(ms, () => {}),
    "store is emptied": () => this.#stopStore(500, () => this.#fleet.lose()),
    "store fails over": (victim) => this.#failOver(victim),
    "store's clock steps": () => this.#fleet.step(this.#jump()),
    "wall clock steps": (victim) => void (victim.main.skew += this.#jump()),
    "bad weather": (victim, ms) => this.#spoil(victim, ms),
  };

  #cutMany(ms: number): void {
    for (const one of this.#fleet.processes) if (this.#random() < 0.7) one.cut(this.#how(), ms);
  }

  /* A crowd that vanishes is a broken path, and so it is while its members come back one by one, within their grace:
   * who comes back later than that cannot be told from one that died. Each needs up to RECONNECT on top. */
  #cutAll(): void {
    const { processes, slots, grace, world } = this.#fleet;
    const { now } = world.clock;
    const known = processes.filter(({ isWell, isSeen, isMute }) => isWell && isSeen && !isMute);
    if (now < this.#wholeAt || known.length < slots.length) return;
    const ms = between(this.#random, 20, 1_500);
    this.#wholeAt = now + ms + grace;
    for (const one of processes) one.cutInACrowd(ms + between(this.#random, 0, grace - RECONNECT));
  }

  #how(): "reset" | "silent" {
    return this.#random() < 0.5 ? "reset" : "silent";
  }

  #spoil(victim: SimProcess, ms: number): void {
    victim.weather = pick(this.#random, WEATHERS);
    this.#fleet.world.note(victim.name, "has bad weather", ms);
    this.#fleet.world.clock.schedule(undefined, ms, () => (victim.weather = CALM));
  }

  /* To another machine, whose clock is another; somebody may be killed in the meantime. */
  #failOver(victim: SimProcess): void {
    if (this.#random() < 0.7) victim.kill();
    this.#stopStore(500, () => this.#fleet.step(this.#jump()));
  }

  #jump(): number {
    return pick(this.#random, [-1, 1]) * pick(this.#random, [HOUR, 10_000, 3_000]);
  }

  #stopStore(ms: number, meanwhile: () => void): void {
    const { world, server } = this.#fleet;
    world.note("the store", "stops", ms);
    this.#stops++;
    server.stop();
    world.clock.schedule(undefined, ms, () => {
      meanwhile();
      this.#startStore();
    });
  }

  #startStore(): void {
    if (this.#stops === 0 || (--this.#stops > 0 && !this.#isOver)) return;
    this.#stops = 0;
    this.#fleet.world.note("the store", "starts");
    this.#fleet.server.start();
  }
}
