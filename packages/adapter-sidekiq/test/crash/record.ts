/* Which ends Redis accepted, read from MONITOR: every command in the order in which it was carried out, those of scripts
 * included. Sidekiq keeps no such record, and no worker is asked. By a bare socket, because a client may be handed the
 * first lines in the place of an answer. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { Scene } from "../support/scene.ts";

/** `done`: nothing is left of the job. `retry` and `dead`: it stands there now. `returned`: it went back. */
export type Kind = "done" | "retry" | "dead" | "returned";

export interface End {
  readonly kind: Exclude<Kind, "returned">;
  readonly proof: string;
}

interface Run {
  readonly jid: string;
  readonly proof: string;
  kind?: Kind;
}

/** Of one command, as MONITOR quotes its arguments. */
const ARGUMENT = /"((?:[^"\\]|\\.)*)"/g;
const JID = '\\"jid\\":\\"';
/** Command, key and proof stand in it. */
const LONGEST_START = 1_000;
const RECONNECT = 50;

export class Record {
  /** Runs by proof, and how each ended. */
  readonly #runs = new Map<string, Run>();
  readonly #ends = new Map<string, End[]>();
  readonly #keys: Scene["keys"];
  readonly #port: number;
  #socket: Socket | undefined;
  #isClosed = false;
  /** Of a line that is not complete. */
  #rest: string[] = [];
  /** What the last command wrote, before the run leaves the record. */
  #written: Kind | undefined;

  private constructor({ keys, url }: Scene) {
    this.#keys = keys;
    this.#port = Number(new URL(url).port);
  }

  /** Watches from now on; again after the server was gone. */
  static async open(scene: Scene): Promise<Record> {
    const record = new Record(scene);
    onTestFinished(() => record.close());
    await new Promise<void>((resolve) => record.#watch(resolve));
    return record;
  }

  /** Nothing is recorded any more. */
  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  ends(jid: string): readonly End[] {
    return this.#ends.get(jid) ?? [];
  }

  /** Jobs of runs that neither ended nor came back. */
  get open(): readonly string[] {
    return this.#jids((kind) => kind === undefined);
  }

  /** Jobs that came back, each as often as it did. */
  get returned(): readonly string[] {
    return this.#jids((kind) => kind === "returned");
  }

  /** How often the job was fetched. */
  fetches(jid: string): number {
    return [...this.#runs.values()].filter((run) => run.jid === jid).length;
  }

  #jids(isWanted: (kind: Kind | undefined) => boolean): readonly string[] {
    return [...this.#runs.values()].filter(({ kind }) => isWanted(kind)).map(({ jid }) => jid);
  }

  #watch(begun: () => void): void {
    this.#rest = [];
    const socket = connect(this.#port, "127.0.0.1", () => socket.write("MONITOR\r\n"));
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.once("data", begun);
    socket.on("data", (text: string) => this.#read(text));
    socket.on("error", () => {});
    socket.on("close", () => {
      if (!this.#isClosed) setTimeout(() => this.#watch(() => {}), RECONNECT);
    });
  }

  #read(text: string): void {
    this.#rest.push(text);
    if (!text.includes("\n")) return;
    const lines = this.#rest.join("").split("\r\n");
    this.#rest = [lines.pop() ?? ""];
    for (const line of lines) this.#note(line);
  }

  #note(line: string): void {
    const start = line.slice(0, LONGEST_START).matchAll(ARGUMENT);
    const [command = "", key = "", proof = ""] = Array.from(start, ([, argument = ""]) => argument);
    const { prefix, retry, dead } = this.#keys;
    const verb = command.toUpperCase();
    if (verb.startsWith("EVAL")) this.#written = undefined;
    if (!key.startsWith(prefix)) return;
    const name = `${verb} ${key.slice(prefix.length).replace(/:[^:]*$/, "")}`;
    if (name === "HSET assured:running") this.#begin(proof, line);
    else if (name === "HDEL assured:running") this.#end(proof);
    else if (name === "ZADD assured:given" || /^[LR]PUSH queue$/.test(name)) this.#written = "returned";
    else if (verb === "ZADD" && key === retry) this.#written = "retry";
    else if (verb === "ZADD" && key === dead) this.#written = "dead";
  }

  #begin(proof: string, line: string): void {
    const at = line.indexOf(JID);
    const jid = at < 0 ? proof : line.slice(at + JID.length, line.indexOf("\\", at + JID.length));
    this.#runs.set(proof, { jid, proof });
  }

  #end(proof: string): void {
    const run = this.#runs.get(proof);
    const kind = this.#written ?? "done";
    this.#written = undefined;
    if (run === undefined || run.kind !== undefined) return;
    run.kind = kind;
    if (kind === "returned") return;
    this.#ends.set(run.jid, [...(this.#ends.get(run.jid) ?? []), { kind, proof }]);
  }
}
