/* Runs our own Lua scripts through whatever Redis driver the user gave to BullMQ.
 *
 * Version 6, and 5.81, hand out their driver interface (defineCommand, runCommand); 5.64 hands out ioredis itself.
 * Every call ends within a deadline; a script that is given up may still run later, and compares before it acts.
 */
import { withinDeadline } from "@assured-jobs/core/adapter-kit";
import type { NativeMember, ScriptClient } from "./native.ts";

/** One Lua script. */
export interface Script {
  readonly name: string;
  /** How many of the arguments are keys. */
  readonly keys: number;
  readonly lua: string;
}

export type ScriptArgument = string | number;

const defined = new WeakMap<ScriptClient, Set<string>>();

/** Keys first, then arguments, as the script's head says. Rejects with ERR_QUEUE_UNREACHABLE after five seconds. */
export function runScript(member: NativeMember, script: Script, args: readonly ScriptArgument[]): Promise<unknown> {
  return withinDeadline(member.name, call(member, script, args));
}

async function call(member: NativeMember, script: Script, args: readonly ScriptArgument[]): Promise<unknown> {
  const client = await clientOf(member);
  const name = `assured-jobs:${script.name}`;
  define(client, name, script);
  if (client.runCommand !== undefined) return client.runCommand(name, args);
  return (Reflect.get(client, name) as (...args: unknown[]) => Promise<unknown>).call(client, ...args);
}

function define(client: ScriptClient, name: string, script: Script): void {
  const names = defined.get(client) ?? new Set<string>();
  if (names.has(name)) return;
  client.defineCommand(name, { numberOfKeys: script.keys, lua: script.lua });
  defined.set(client, names.add(name));
}

const clientOf = (member: NativeMember): Promise<ScriptClient> =>
  (member.getBackend === undefined ? member.client : member.getBackend().client) as Promise<ScriptClient>;
