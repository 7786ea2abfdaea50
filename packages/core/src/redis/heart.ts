/* The pulse itself, wherever it runs: in a thread of its own, or on the main loop where a thread cannot be had.
 *
 * Two connections. One holds the subscription whose end tells the others that this process is gone; the other one
 * sends beats. Any of them may break while the process lives, so a break is answered by the other: a closed
 * subscription makes it beat at once and then quickly until it is open again, and every (re)connect beats before
 * anything else. Only when both are broken for longer than the grace can the living look dead, and then the first
 * beat that gets through says so: "fenced".
 */
import type { StoreConnection } from "../adapter.ts";
import { reasonOf } from "../errors.ts";
import type { Registration } from "../instance.ts";
import type { BeatReply } from "../store.ts";
import { keysOf } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { createClient, Link } from "./link.ts";
import { createSubscriber } from "./subscriber.ts";
import type { Subscriber } from "./subscriber.ts";
import { looksForbidden, looksUnknown } from "./replies.ts";
import { beatWith, registerWith } from "./roster.ts";
import type { Presence } from "./roster.ts";

/** What crosses from the heart to whoever owns it; plain data, so that it can cross threads. */
export type HeartSignal =
  | { readonly type: "beat"; readonly at: number }
  | { readonly type: "present"; readonly present: boolean }
  | { readonly type: "connection"; readonly up: boolean; readonly reason?: string }
  | { readonly type: "updated"; readonly version: number }
  | { readonly type: "warn"; readonly message: string }
  | { readonly type: "fenced" }
  | { readonly type: "nudged" };

export interface HeartOptions {
  readonly connection: StoreConnection;
  readonly namespace: string;
  readonly presence: Presence;
  readonly registration: Registration;
}

/** While the subscription is closed, beats come this often: each clears the mark of absence. */
const ANXIOUS = 250;
const CHECK = 250;
/** An event loop that did not turn for this long is told as blocked. */
const BLOCKED_AFTER = 1_000;

export class Heart {
  readonly #keys: Keys;
  readonly #commands: Link;
  readonly #subscriber: Subscriber;
  #presence: Presence;
  readonly #blockedFor: () => number;
  readonly #signal: (signal: HeartSignal) => void;
  #registration: Registration;
  #version = 0;
  #beating: Promise<void> = Promise.resolve();
  #following: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** performance.now(): the wall clock may be set back. */
  #lastTry = Number.NEGATIVE_INFINITY;
  #registered = false;
  #present = false;
  #wasPresent = false;
  #up: boolean | undefined;
  #wasBlocked = false;
  #stopped = false;

  constructor(options: HeartOptions, blockedFor: () => number, signal: (signal: HeartSignal) => void) {
    this.#keys = keysOf(options.namespace);
    this.#presence = options.presence;
    this.#registration = options.registration;
    this.#blockedFor = blockedFor;
    this.#signal = signal;
    this.#commands = new Link(createClient(options.connection, "assured-jobs:pulse"));
    this.#subscriber = createSubscriber(options.connection, () => this.#commands.client, {
      ready: () => void this.#open(),
      closed: () => {
        this.#setPresent(false);
        void this.#beat();
      },
      heard: (channel, message) => this.#hear(channel, message),
    });
  }

  start(): void {
    const commands = this.#commands.client;
    commands.on("ready", () => void this.#beat());
    commands.on("close", () => this.#connection(false, "connection closed"));
    commands.connect().catch(() => {}); // it goes on trying; "ready" tells
    if (this.#presence !== "") this.#subscriber.connect();
    this.#timer = setInterval(() => this.#tick(), CHECK).unref();
  }

  /** The newest registration; `updated` is signalled once the store has it. */
  update(registration: Registration, version: number): void {
    this.#registration = registration;
    this.#version = version;
    this.#registered = false;
    void this.#beat();
  }

  /** Resolves when both connections are closed. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await Promise.all([this.#subscriber.close(), this.#commands.close()]);
  }

  /* The record first: a subscription without a record tells nobody anything. */
  async #open(): Promise<void> {
    try {
      await this.#beat();
      if (!(await this.#subscriber.subscribe(this.#keys.presence(this.#registration.incarnation), this.#keys.nudges)))
        return;
      this.#wasPresent = true;
      this.#registered = false; // once more, now that the store can see it
      await this.#beat();
      if (this.#registered) this.#setPresent(true);
      else this.#subscriber.reopen(); // the other connection broke: from the start
    } catch (error) {
      this.#noteRefusal(reasonOf(error));
    }
  }

  /* What the server does not allow is told; anything else passes, and is tried again. Whom the store has seen present
   * it may miss, so that one goes on beating often. */
  #noteRefusal(reason: string): void {
    if (!looksForbidden(reason) && !looksUnknown(reason)) return this.#subscriber.reopen();
    if (!this.#wasPresent) {
      this.#presence = "";
      void this.#subscriber.close();
    }
    this.#signal({
      type: "warn",
      message: `Presence is off: the server refuses to subscribe (${reason}). Deaths are noticed by the lease alone; allow the channels of the namespace (in a Cluster: Redis 7 or newer) to notice them within about a second.`,
    });
  }

  #hear(channel: string, message: string): void {
    if (this.#stopped) return;
    if (channel === this.#keys.nudges) this.#signal({ type: "nudged" });
    else if (message === "fenced") this.#fenced();
  }

  #tick(): void {
    const blocked = this.#blockedFor() >= BLOCKED_AFTER;
    const due = this.#presence !== "" && !this.#present ? ANXIOUS : this.#registration.interval;
    if (blocked !== this.#wasBlocked || !this.#up || performance.now() - this.#lastTry >= due) void this.#beat();
    this.#wasBlocked = blocked;
  }

  /* One beat at a time; all who ask meanwhile share the one that follows. */
  #beat(): Promise<void> {
    this.#following ??= this.#beating.then(() => {
      this.#following = undefined;
      const ready = !this.#stopped && this.#commands.client.status === "ready";
      return (this.#beating = ready ? this.#beatOnce() : this.#beating);
    });
    return this.#following;
  }

  async #beatOnce(): Promise<void> {
    this.#lastTry = performance.now();
    const version = this.#version;
    try {
      const reply = this.#registered ? await this.#sign() : await this.#register();
      if (reply === "fenced") return this.#fenced();
      if (reply === "unknown") await this.#register();
      this.#registered = version === this.#version;
      this.#signal({ type: "beat", at: Date.now() });
      this.#signal({ type: "updated", version });
      this.#connection(true);
    } catch (error) {
      this.#connection(false, reasonOf(error));
    }
  }

  #sign(): Promise<BeatReply> {
    const { incarnation, ttl, interval } = this.#registration;
    return beatWith(this.#commands, this.#keys, { incarnation, ttl, interval, blockedFor: this.#blockedFor() });
  }

  async #register(): Promise<BeatReply> {
    const { fenced } = await registerWith(this.#commands, this.#keys, this.#presence, this.#registration);
    return fenced ? "fenced" : "alive";
  }

  #fenced(): void {
    if (this.#stopped) return;
    this.#signal({ type: "fenced" });
    void this.stop();
  }

  #setPresent(present: boolean): void {
    if (this.#present === present) return;
    this.#present = present;
    this.#signal({ type: "present", present });
  }

  #connection(up: boolean, reason?: string): void {
    if (this.#stopped || this.#up === up) return;
    this.#up = up;
    this.#signal({ type: "connection", up, ...(reason === undefined ? {} : { reason }) });
  }
}
