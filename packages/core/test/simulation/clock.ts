/* Virtual time: one task after another in the order in which they are due, as fast as the machine can.
 *
 * Between two tasks every microtask runs to its end, so what a task causes belongs to its own moment and its own lane,
 * and nothing depends on the machine. A tick of Node that was asked for by a microtask comes after all of them: that
 * is the whole trick, and it costs a fifth of a microsecond.
 */
import type { Lane } from "./lane.ts";

export interface Task {
  readonly at: number;
  readonly order: number;
  /** Undefined for what happens outside of the processes: on a server, in a network. */
  readonly lane: Lane | undefined;
  readonly act: () => void;
  cancelled: boolean;
}

const EPOCH = 1_700_000_000_000;
const READY = Promise.resolve();

export class Clock {
  now: number = EPOCH;
  /** Whose code runs at this moment. */
  lane: Lane | undefined;
  isRunning = false;
  readonly #heap: Task[] = [];
  #order = 0;
  #ended: ((error?: unknown) => void) | undefined;

  /** Virtual ms since the start. */
  get elapsed(): number {
    return this.now - EPOCH;
  }

  schedule(lane: Lane | undefined, delay: number, act: () => void): Task {
    const task = { at: this.now + Math.max(0, delay), order: this.#order++, lane, act, cancelled: false };
    this.#push(task);
    return task;
  }

  /** Until stop(), or until nothing is due any more. */
  async run(): Promise<void> {
    this.isRunning = true;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#ended = (error) => (error === undefined ? resolve() : reject(error));
        this.#turn();
      });
    } finally {
      this.isRunning = false;
      this.lane = undefined;
    }
  }

  stop(): void {
    this.#end();
  }

  readonly #turn = (): void => {
    if (!this.#ended) return;
    const task = this.#next();
    if (!task) return this.#end();
    this.now = task.at;
    this.lane = task.lane;
    try {
      task.act();
    } catch (error) {
      return this.#end(error);
    }
    void READY.then(this.#tick);
  };

  readonly #tick = (): void => process.nextTick(this.#turn);

  #end(error?: unknown): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.(error);
  }

  #next(): Task | undefined {
    for (let task = this.#pop(); task; task = this.#pop()) {
      if (!task.cancelled && (task.lane?.admits(task) ?? true)) return task;
    }
    return undefined;
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.push(task) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, task)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = task;
  }

  #pop(): Task | undefined {
    const heap = this.#heap;
    const [first, last] = [heap[0], heap.pop()];
    if (!last || first === last) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Task, other: Task): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
