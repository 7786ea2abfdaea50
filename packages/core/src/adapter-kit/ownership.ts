/* What is hooked into belongs to one adapter at a time: two would both wrap its runs and count them twice. */
import { AssuranceError } from "../errors.ts";

export class Ownership<T extends object> {
  readonly #owners = new WeakMap<T, object>();
  readonly #describe: (member: T) => string;

  /** `describe` names a member in a message, e.g. `someAdapter: a worker of queue "mails"`. */
  constructor(describe: (member: T) => string) {
    this.#describe = describe;
  }

  /** Throws ERR_OPTION when another adapter owns the member. */
  check(member: T, adapter: object): void {
    const owner = this.#owners.get(member);
    if (owner === undefined || owner === adapter) return;
    throw new AssuranceError(
      "ERR_OPTION",
      `${this.#describe(member)} already belongs to another adapter, and its runs would be counted twice. Pass it to one adapter only.`,
    );
  }

  own(member: T, adapter: object): void {
    this.check(member, adapter);
    this.#owners.set(member, adapter);
  }

  disown(member: T, adapter: object): void {
    if (this.#owners.get(member) === adapter) this.#owners.delete(member);
  }
}
