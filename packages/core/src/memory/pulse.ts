/* A pulse in memory. It beats on a timer of the main loop, and its subscription is a flag in the server.
 *
 * On every way back to the server it beats before anything else: a pulse that was declared dead meanwhile learns
 * of it before it can be seen present again. A test can end it as a process ends: crash() is SIGKILL, freeze()
 * is SIGSTOP.
 */
import { reasonOf } from "../errors.ts";
import { Gate } from "../gate.ts";
import type { Registration } from "../instance.ts";
import type { BeatReply, Pulse, PulseListener, Roster } from "../store.ts";
import type { Link } from "./link.ts";
import type { Notice, Subscriber, Subscription } from "./server.ts";

/** A pulse that a test can end as a process ends. */
export interface MemoryPulse extends Pulse {
  /** As after SIGKILL: no more beats, the subscription is gone, nothing is told to anybody. */
  crash(): void;
  /** As after SIGSTOP: no more beats, the subscription stays, notices wait. */
  freeze(): void;
  /** As after SIGCONT: it beats at once, and so learns what has become of it. */
  thaw(): Promise<void>;
}

/** Registers, becomes present and begins to beat; goes on trying when the server cannot be reached. */
export async function startPulse(
  link: Link,
  roster: Roster,
  registration: Registration,
  listener: PulseListener,
): Promise<MemoryPulse> {
  const pulse = new TimerPulse(link, roster, registration, listener);
  await pulse.start();
  return pulse;
}

class TimerPulse implements MemoryPulse, Subscriber {
  readonly #ready = new Gate();
  readonly mode = "main";
  readonly #link: Link;
  readonly #roster: Roster;
  readonly #listener: PulseListener;
  #registration: Registration;
  /** Whether the server has the newest registration, and who waits for it. */
  #registered = false;
  #waiting: (() => void)[] = [];
  #subscription: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastBeat: number | undefined;
  #state: "beating" | "frozen" | "stopped" = "beating";
  #connected: boolean | undefined;

  constructor(link: Link, roster: Roster, registration: Registration, listener: PulseListener) {
    this.#link = link;
    this.#roster = roster;
    this.#registration = registration;
    this.#listener = listener;
  }

  get ready(): Promise<void> {
    return this.#ready.opened;
  }

  get lastBeat(): number | undefined {
    return this.#lastBeat;
  }

  get present(): boolean {
    return this.#subscription?.isOpen ?? false;
  }

  /* The record first: a subscription without a record tells nobody anything. */
  async start(): Promise<void> {
    this.#subscription = this.#link.subscribe(this.#registration.incarnation, this);
    this.#schedule();
    await this.#beat();
  }

  async update(registration: Registration): Promise<void> {
    if (this.#state === "stopped") return;
    this.#registration = registration;
    this.#registered = false;
    const known = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#schedule();
    await this.#beat();
    await known;
  }

  async stop(): Promise<void> {
    this.crash();
    this.#settle();
    this.#ready.open();
  }

  crash(): void {
    this.#state = "stopped";
    clearInterval(this.#timer);
    this.#subscription?.close();
  }

  freeze(): void {
    if (this.#state === "beating") this.#state = "frozen";
  }

  async thaw(): Promise<void> {
    if (this.#state !== "frozen") return;
    this.#state = "beating";
    await this.#beat();
  }

  notice(notice: Notice): void {
    if (this.#state !== "beating") return; // a frozen process hears it from its first beat
    if (notice === "fenced") this.#fence();
    else this.#listener.nudged();
  }

  dropped(): void {
    this.#connection(false, "the server closed the subscription");
  }

  restored(): void {
    void this.#beat();
  }

  #schedule(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#beat(), this.#registration.interval).unref();
  }

  async #beat(): Promise<void> {
    if (this.#state !== "beating") return;
    try {
      let reply = this.#registered ? await this.#sign() : await this.#register();
      if (reply === "unknown") reply = await this.#register(); // the server lost its records
      if (reply === "alive" && !this.present) reply = await this.#appear();
      if (reply === "fenced") this.#fence();
      else this.#confirm();
    } catch (error) {
      this.#connection(false, reasonOf(error));
    }
  }

  /* Registers once more under the open subscription: from then on the server has seen it present. */
  #appear(): Promise<BeatReply> {
    this.#subscription?.open();
    return this.#register();
  }

  #sign(): Promise<BeatReply> {
    const { incarnation, ttl, interval } = this.#registration;
    return this.#roster.beat({ incarnation, ttl, interval, blockedFor: 0 });
  }

  async #register(): Promise<BeatReply> {
    const registration = this.#registration;
    const { fenced } = await this.#roster.register(registration);
    this.#registered = registration === this.#registration; // or there is a newer one already
    return fenced ? "fenced" : "alive";
  }

  #confirm(): void {
    if (this.#state !== "beating") return;
    this.#lastBeat = Date.now();
    if (this.#registered) this.#settle();
    this.#ready.open();
    this.#connection(true);
  }

  #connection(up: boolean, reason?: string): void {
    if (this.#state !== "beating" || this.#connected === up) return;
    this.#connected = up;
    this.#listener.connection(up, reason);
  }

  #settle(): void {
    for (const known of this.#waiting.splice(0)) known();
  }

  #fence(): void {
    if (this.#state === "stopped") return;
    void this.stop();
    this.#listener.fenced();
  }
}
