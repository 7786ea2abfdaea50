/* A worker belongs to one adapter at a time: two would both wrap its runs and count them twice. */
import { AssuranceError } from "@assured-jobs/core";
import type { NativeMember } from "./native.ts";

const owners = new WeakMap<NativeMember, object>();

/** Throws ERR_OPTION when another one owns the worker. */
export function checkOwner(worker: NativeMember, adapter: object): void {
  const owner = owners.get(worker);
  if (owner === undefined || owner === adapter) return;
  throw new AssuranceError(
    "ERR_OPTION",
    `bullmqAdapter: a Worker of queue "${worker.name}" already belongs to another adapter, and its runs would be counted twice. Pass it to one adapter only.`,
  );
}

export function own(worker: NativeMember, adapter: object): void {
  checkOwner(worker, adapter);
  owners.set(worker, adapter);
}

export function disown(worker: NativeMember, adapter: object): void {
  if (owners.get(worker) === adapter) owners.delete(worker);
}
