/* The pulse of a simulated process: the real one of the memory store, on a lane of its own.
 *
 * What crosses between it and the main lane takes a moment, as between two threads, and waits while the main loop is
 * blocked. The subscription is a socket: the kernel closes it at a death, a reset closes it while its process lives,
 * and a silent break leaves it open on the server.
 */
import { startPulse } from "../../src/memory/pulse.ts";
import type { MemoryPulse, MemoryServer, Notice, Subscriber, Subscription } from "../../src/testing/index.ts";
import type { Registration } from "../../src/instance.ts";
import type { Pulse, PulseListener, Roster } from "../../src/store.ts";
import type { Lane } from "./lane.ts";
import { NAMESPACE } from "./oracle.ts";
import type { Path } from "./path.ts";
import { between } from "./random.ts";
import type { World } from "./world.ts";

export interface Thread {
  readonly world: World;
  readonly server: MemoryServer;
  readonly main: Lane;
  readonly own: Lane;
  readonly path: Path;
  /** The roster over the path of this thread. */
  readonly roster: Roster;
}

/** The closing of a socket is noticed within so many ms. */
const NOTICED = 20;
/** A pulse whose path is whole again is present within so many ms. */
export const RECONNECT = 100;

/** The socket of one subscription. */
export class Socket implements Subscription {
  readonly #thread: Thread;
  readonly #incarnation: string;
  readonly #subscriber: Subscriber;
  #inner: Subscription;

  constructor(thread: Thread, incarnation: string, subscriber: Subscriber) {
    this.#thread = thread;
    this.#incarnation = incarnation;
    this.#subscriber = subscriber;
    this.#inner = this.#subscribe();
  }

  get isOpen(): boolean {
    return this.#inner.isOpen && !this.#thread.path.isCut;
  }

  open(): void {
    if (!this.#thread.path.isCut) this.#inner.open();
  }

  close(): void {
    this.#inner.close();
  }

  /** Its process is gone, and the kernel closes it. */
  die(): void {
    const { world } = this.#thread;
    world.clock.schedule(undefined, between(world.random, 0, NOTICED), () => this.#inner.close());
  }

  reset(): void {
    if (!this.#inner.isOpen) return;
    this.#inner.close();
    this.#inner = this.#subscribe();
    this.#tell(() => this.#subscriber.dropped());
  }

  /** The path is whole again. */
  heal(): void {
    const { world, own } = this.#thread;
    world.clock.schedule(own, between(world.random, 0, RECONNECT), () => this.#subscriber.restored());
  }

  #subscribe(): Subscription {
    const unlessCut = (tell: () => void): void => {
      if (!this.#thread.path.isCut) this.#tell(tell);
    };
    return this.#thread.server.subscribe(NAMESPACE, this.#incarnation, {
      notice: (notice: Notice) => unlessCut(() => this.#subscriber.notice(notice)),
      dropped: () => unlessCut(() => this.#subscriber.dropped()),
      restored: () => unlessCut(() => this.#subscriber.restored()),
    });
  }

  #tell(tell: () => void): void {
    const { world, own } = this.#thread;
    world.clock.schedule(own, between(world.random, 0, 3), tell);
  }
}

/** @param opened called with each socket that the pulse opens */
export function farPulse(
  thread: Thread,
  registration: Registration,
  listener: PulseListener,
  opened: (socket: Socket) => void,
): Pulse {
  const { world, main, own } = thread;
  const mode = main === own ? "main" : "thread";
  const to = (lane: Lane, tell: () => void): void => void world.clock.schedule(lane, 0, tell);
  const link = {
    subscribe: (incarnation: string, subscriber: Subscriber): Subscription => {
      const socket = new Socket(thread, incarnation, subscriber);
      opened(socket);
      return socket;
    },
  };
  const toMain: PulseListener = {
    fenced: () => to(main, () => listener.fenced()),
    nudged: () => to(main, () => listener.nudged()),
    connection: (up, reason) => to(main, () => listener.connection(up, reason)),
    warn: (message) => to(main, () => listener.warn(message)),
  };
  const started = new Promise<MemoryPulse>((resolve, reject) =>
    to(
      own,
      () =>
        void startPulse(link as never, thread.roster, { ...registration, pulse: mode }, toMain).then(resolve, reject),
    ),
  );
  let inner: MemoryPulse | undefined;
  void started.then((pulse) => (inner = pulse));
  /* An order crosses to the pulse's lane, and its answer comes back. */
  const order = <T>(give: (pulse: MemoryPulse) => Promise<T>): Promise<T> =>
    new Promise((resolve) => to(own, () => void started.then(give).then((value) => to(main, () => resolve(value)))));
  return {
    mode,
    ready: order((pulse) => pulse.ready),
    update: (next) => order((pulse) => pulse.update({ ...next, pulse: mode })),
    get lastBeat() {
      return inner?.lastBeat;
    },
    get present() {
      return inner?.present ?? false;
    },
    stop: () => order((pulse) => pulse.stop()),
  };
}
