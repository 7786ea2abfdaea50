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
const SCRIPT = /^\S+ \[\d+ \S+\] "eval/i;
const JID = '\\"jid\\":\\"';
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
  /** What the script that goes on has written of jobs, before their runs leave the record, one for each: by jid, or by proof. */
  readonly #written = new Map<string, Kind[]>();

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
    if (SCRIPT.test(line)) return this.#written.clear();
    const [command = "", key = "", ...told] = Array.from(line.matchAll(ARGUMENT), ([, argument = ""]) => argument);
    const { prefix, retry, dead } = this.#keys;
    if (!key.startsWith(prefix)) return;
    const verb = command.toUpperCase();
    const name = `${verb} ${key.slice(prefix.length).replace(/:[^:]*$/, "")}`;
    if (name === "HSET assured:running") for (const [proof, text] of pairs(told)) this.#begin(proof, text);
    else if (name === "HDEL assured:running") for (const proof of told) this.#end(proof);
    else if (name === "ZADD assured:given") for (const [, proof] of pairs(told)) this.#write(proof, "returned");
    else if (/^[LR]PUSH queue$/.test(name)) for (const text of told) this.#write(jidIn(text) ?? text, "returned");
    else if (verb === "ZADD" && (key === retry || key === dead))
      for (const [, text] of pairs(told)) this.#write(jidIn(text) ?? text, key === retry ? "retry" : "dead");
  }

  #write(of: string, kind: Kind): void {
    this.#written.set(of, [...(this.#written.get(of) ?? []), kind]);
  }

  #begin(proof: string, text: string): void {
    this.#runs.set(proof, { jid: jidIn(text) ?? text, proof });
  }

  #end(proof: string): void {
    const run = this.#runs.get(proof);
    if (run === undefined || run.kind !== undefined) return;
    const kind = this.#written.get(proof)?.shift() ?? this.#written.get(run.jid)?.shift() ?? "done";
    run.kind = kind;
    if (kind === "returned") return;
    this.#ends.set(run.jid, [...(this.#ends.get(run.jid) ?? []), { kind, proof }]);
  }
}

function* pairs(told: readonly string[]): Iterable<readonly [string, string]> {
  for (let at = 0; at + 1 < told.length; at += 2) yield [told[at]!, told[at + 1]!];
}

/* Of a payload as MONITOR quotes it. */
function jidIn(text: string): string | undefined {
  const at = text.indexOf(JID);
  return at < 0 ? undefined : text.slice(at + JID.length, text.indexOf("\\", at + JID.length));
}
