/* The worker processes: real ones, so that real signals hit them. Each one that ends is replaced at once, as a platform
 * would do it; what became of each is kept. */
import { fork } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {import("./history.d.mts").Life} Life */
/** @typedef {import("./messages.d.mts").Told} Told */
/** @typedef {{ life: Life, child: import("node:child_process").ChildProcess, held: number, frozen: boolean, exited: Promise<void> }} Member */

const PROGRAM = fileURLToPath(new URL("worker.mjs", import.meta.url));

export class Fleet {
  /** @type {Life[]} */
  lives = [];
  /** @type {Set<Member>} */
  #members = new Set();
  #closed = false;
  #options;

  /** @param {{ dir: string, size: number, orders: Omit<import("./messages.d.mts").Orders, "process" | "name" | "diary"> }} options */
  constructor(options) {
    this.#options = options;
  }

  /** All that have not exited. */
  get members() {
    return [...this.#members];
  }

  /** Those that fetch and run jobs now. */
  get ready() {
    return this.members.filter(({ life, frozen }) => life.readyAt && !life.leavingAt && !life.killedAt && !frozen);
  }

  /** Brings the fleet to its size. */
  fill() {
    for (let slot = 1; this.#members.size < this.#options.size; slot++) {
      const name = `w${slot}`;
      if (!this.members.some(({ life }) => life.name === name)) this.launch(name);
    }
  }

  /** @param {string} name */
  launch(name) {
    const process = `${name}/${this.lives.length + 1}`;
    const orders = { ...this.#options.orders, process, name, diary: this.diaryOf(process) };
    const child = fork(PROGRAM, [], { env: environment(orders), stdio: ["ignore", "ignore", "pipe", "ipc"] });
    /** @type {Life} */
    const life = { process, name, pid: child.pid ?? 0, launchedAt: Date.now(), ...emptyLists() };
    const exited = new Promise((/** @type {(value?: undefined) => void} */ resolve) =>
      child.once("exit", () => resolve()),
    );
    /** @type {Member} */
    const member = { life, child, held: 0, frozen: false, exited };
    this.lives.push(life);
    this.#members.add(member);
    child.on("message", (message) => hear(member, /** @type {Told} */ (message)));
    child.on("error", () => {}); // "exit" tells
    child.stderr?.on("data", (text) => appendFileSync(join(this.#options.dir, "stderr"), `${process}: ${text}`));
    child.once("exit", (code, signal) => this.#ended(member, signal ?? String(code)));
    return member;
  }

  /** SIGKILL. False when it was gone before. */
  async kill(/** @type {Member} */ { life, child, exited }) {
    if (life.exitedAt !== undefined) return false;
    life.killedAt ??= Date.now();
    child.kill("SIGKILL");
    await exited;
    return life.exit === "SIGKILL";
  }

  /** Ends them all. */
  async close() {
    this.#closed = true;
    await Promise.all(
      this.members.map(async ({ child, exited }) => {
        child.kill("SIGKILL");
        await exited;
      }),
    );
  }

  diaryOf(/** @type {string} */ process) {
    return join(this.#options.dir, `${process.replace("/", "-")}.diary`);
  }

  /** @param {Member} member @param {string} exit */
  #ended(member, exit) {
    member.life.exitedAt = Date.now();
    member.life.exit = exit;
    this.#members.delete(member);
    if (!this.#closed) this.fill();
  }
}

const emptyLists = () => ({ incarnations: [], fencedAt: [], rebornAt: [], freezes: [], trouble: [] });

const environment = (/** @type {object} */ orders) => ({ ...process.env, STORM_ORDERS: JSON.stringify(orders) });

/** @param {Member} member @param {Told} told */
function hear(member, told) {
  const { life } = member;
  if (told.type === "load") member.held = told.held;
  else if (told.type === "fenced") life.fencedAt.push(Date.now());
  else if (told.type === "trouble") life.trouble.push(told.text);
  else {
    if (told.type === "ready") life.readyAt = Date.now();
    else life.rebornAt.push(Date.now());
    if (told.incarnation !== undefined) life.incarnations.push(told.incarnation);
  }
}
