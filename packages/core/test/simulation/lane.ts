/* One thread of a simulated process: what runs on it, stands still with it, and ends with it.
 *
 * While it is paused (SIGSTOP, or a blocked loop) whatever is due for it piles up, and comes all at once afterwards.
 * What is due for a dead one never happens.
 */
import type { Clock, Task } from "./clock.ts";

export class Lane {
  readonly name: string;
  /** By how much the wall clock of its machine is wrong, ms. */
  skew = 0;
  readonly #clock: Clock;
  #pauses = 0;
  #resumedAt = -Infinity;
  #dead = false;
  #backlog: Task[] = [];

  constructor(clock: Clock, name: string) {
    this.#clock = clock;
    this.name = name;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  get isPaused(): boolean {
    return this.#pauses > 0;
  }

  kill(): void {
    this.#dead = true;
    this.#backlog = [];
  }

  /** When it stood still last: now, while it does. */
  get lastPaused(): number {
    return this.isPaused ? this.#clock.now : this.#resumedAt;
  }

  /** For each pause one resume. */
  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    if (--this.#pauses > 0) return;
    this.#resumedAt = this.#clock.now;
    for (const { act } of this.#backlog.splice(0).filter(({ cancelled }) => !cancelled))
      this.#clock.schedule(this, 0, act);
  }

  /** Whether the task may run now; if not, it waits or is dropped. */
  admits(task: Task): boolean {
    if (this.#dead) return false;
    if (this.#pauses > 0) this.#backlog.push(task);
    return this.#pauses === 0;
  }
}
