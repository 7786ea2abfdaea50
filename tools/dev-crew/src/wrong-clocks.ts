/* Processes and servers whose wall clocks are wrong, and are set while they run. */
import { until } from "@assured-jobs/core/testing";
import { expect } from "vitest";
import { Clock } from "./faketime.ts";
import { adminOf } from "./crew.ts";
import type { Cleanup, Member } from "./index.ts";

export interface ClockOptions {
  /** As found by findFaketime(). */
  readonly library: string;
  readonly cleanup: Cleanup;
  /** From the right time. Default: right. */
  readonly hours?: number;
}

const hoursAhead = (now: number): number => Math.round((now - Date.now()) / 3_600_000) || 0;

/** A process with a clock of its own. It answers `now` by what its clock says. */
export class ClockedMember {
  readonly member: Member;
  readonly #clock: Clock;

  private constructor(member: Member, clock: Clock) {
    this.member = member;
    this.#clock = clock;
  }

  static async start(
    spawn: (env: Readonly<Record<string, string>>) => Promise<Member>,
    { library, cleanup, hours = 0 }: ClockOptions,
  ): Promise<ClockedMember> {
    const clock = await Clock.open(library, cleanup, hours);
    const clocked = new ClockedMember(await spawn(clock.env), clock);
    expect(await clocked.#hoursAhead()).toBe(hours);
    return clocked;
  }

  async set(hours: number): Promise<void> {
    await this.#clock.set(hours);
    await until("its clock is wrong", async () => (await this.#hoursAhead()) === hours);
  }

  async #hoursAhead(): Promise<number> {
    return hoursAhead(await this.member.ask<number>("now"));
  }
}

/** A server with a clock of its own. */
export interface ClockedServer<R> {
  readonly redis: R;
  set(hours: number): Promise<void>;
}

/** `start` must hand the environment of this process on. */
export async function startClocked<R extends { readonly port: number }>(
  start: () => Promise<R>,
  { library, cleanup, hours = 0 }: ClockOptions,
): Promise<ClockedServer<R>> {
  const clock = await Clock.open(library, cleanup, hours);
  const redis = await clock.startWithin(start);
  const admin = adminOf(redis, cleanup);
  const isAhead = async (by: number): Promise<boolean> => hoursAhead(Number((await admin.time())[0]) * 1_000) === by;
  return {
    redis,
    async set(by) {
      await clock.set(by);
      await until("its clock is wrong", () => isAhead(by));
    },
  };
}
