/* The way of one lane to one server: each call is a request that arrives later, and a reply that arrives later still.
 *
 * In order on one path, in any order between paths. Each call may be the last thing that its process does, before or
 * after it; its request may be lost, or its reply, and then the caller knows only that it failed. While the path is
 * cut every call fails; of what was on its way some arrives when the path is whole again, long after the caller gave up.
 */
import { AssuranceError } from "../../src/errors.ts";
import type { Lane } from "./lane.ts";
import { between } from "./random.ts";
import type { World } from "./world.ts";

/** Probabilities for each call. */
export interface Weather {
  readonly requestLost: number;
  readonly replyLost: number;
  /** Of a slow one, of up to `slowest` ms. */
  readonly slow: number;
  readonly slowest: number;
}

export const CALM: Weather = { requestLost: 0, replyLost: 0, slow: 0, slowest: 0 };

/** `reset`: whoever calls hears of it at once. `silent`: after a while. */
export type Cut = "reset" | "silent";

export interface PathOptions {
  readonly world: World;
  readonly lane: Lane;
  /** Ends the process of the lane. */
  readonly kill: () => void;
  /** Asked at each call: whether the process dies of it. */
  readonly lastStep?: () => "before" | "after" | undefined;
}

type Fate = "pass" | "request lost" | "reply lost";

const USUAL = 3;

export class Path {
  weather: Weather = CALM;
  readonly #options: PathOptions;
  #cut: Cut | undefined;
  /** Grows with each cut: what was sent before it is lost, or late. */
  #epoch = 0;
  #lastRequest = 0;
  #lastReply = 0;
  #late: (() => void)[] = [];

  constructor(options: PathOptions) {
    this.#options = options;
  }

  get isCut(): boolean {
    return this.#cut !== undefined;
  }

  cut(how: Cut): void {
    this.#cut ??= how;
    this.#epoch++;
  }

  heal(): void {
    this.#cut = undefined;
    const { clock, random } = this.#options.world;
    for (const arrive of this.#late.splice(0)) clock.schedule(undefined, between(random, 0, 2_000), arrive);
  }

  call<T>(what: string, act: () => T | Promise<T>): Promise<T> {
    const { lane, kill, lastStep } = this.#options;
    if (lane.isDead) return new Promise(() => {});
    const last = lastStep?.();
    if (last !== undefined) this.#note(what, `dies ${last} it`);
    if (last === "before") {
      kill();
      return new Promise(() => {});
    }
    const answer = this.#cut ? this.#callInVain(what, act) : this.#send(what, act);
    if (last === "after") kill();
    return answer;
  }

  #send<T>(what: string, act: () => T | Promise<T>): Promise<T> {
    const fate = this.#fate();
    const epoch = this.#epoch;
    const { clock } = this.#options.world;
    this.#lastRequest = Math.max(this.#lastRequest, clock.now + this.#latency());
    this.#note(what, fate);
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => this.#reply(epoch, () => reject(error));
      const arrive = (): void => {
        if (fate === "request lost") return fail(unreachable("the request was lost"));
        if (epoch !== this.#epoch) return this.#arriveAfterCut(act, () => fail(unreachable("the path broke")));
        const answer = this.#act(what, act);
        if (fate === "reply lost") {
          answer.catch(() => {});
          return fail(unreachable("the reply was lost"));
        }
        answer.then((value) => this.#reply(epoch, () => resolve(value), reject), fail);
      };
      clock.schedule(undefined, this.#lastRequest - clock.now, arrive);
    });
  }

  /* It was on its way when the path broke. */
  #arriveAfterCut(act: () => unknown, fail: () => void): void {
    if (this.#options.world.random() < 0.5) this.#postpone(act);
    fail();
  }

  #callInVain<T>(what: string, act: () => T | Promise<T>): Promise<T> {
    const { clock, random } = this.#options.world;
    const { lane } = this.#options;
    this.#note(what, "in vain");
    const silent = this.#cut === "silent";
    if (silent && random() < 0.5) this.#postpone(act);
    const patience = silent ? between(random, 500, 3_000) : between(random, 0, 5);
    return new Promise((_resolve, reject) => {
      clock.schedule(lane, patience, () => reject(unreachable("the path is broken")));
    });
  }

  #postpone(act: () => unknown): void {
    this.#late.push(() => {
      this.#note("something", "arrives late");
      void this.#act("", act).catch(() => {});
    });
  }

  #act<T>(what: string, act: () => T | Promise<T>): Promise<T> {
    const { world } = this.#options;
    try {
      const answer = Promise.resolve(act());
      if (what !== "") this.#note(what, "done");
      return answer;
    } catch (error) {
      world.note(this.#options.lane.name, what, "refused");
      return Promise.reject(error);
    }
  }

  #reply(epoch: number, tell: () => void, refuse?: (error: Error) => void): void {
    const { world, lane } = this.#options;
    const { clock } = world;
    this.#lastReply = Math.max(this.#lastReply, clock.now + this.#latency());
    clock.schedule(lane, this.#lastReply - clock.now, () => {
      if (refuse && epoch !== this.#epoch) return refuse(unreachable("the path broke"));
      tell();
    });
  }

  #fate(): Fate {
    const { fates } = this.#options.world;
    if (fates.strikes(this.weather.requestLost)) return "request lost";
    return fates.strikes(this.weather.replyLost) ? "reply lost" : "pass";
  }

  #latency(): number {
    const { random } = this.#options.world;
    const { slow, slowest } = this.weather;
    return slow > 0 && random() < slow ? between(random, 0, slowest) : between(random, 0, USUAL);
  }

  #note(what: string, how: string): void {
    this.#options.world.note(this.#options.lane.name, what, how);
  }
}

const unreachable = (why: string): AssuranceError => new AssuranceError("ERR_STORE_UNREACHABLE", why);
