/* The judgement: who is late, blocked or dead, and by what evidence.
 *
 * It kills nobody who lives, because it rests on two things only: observed time, which stands still while nobody
 * watches, and a subscription that was seen open on this very run of the server and is closed now. When many vanish
 * together the path is broken rather than the processes, and only the lease decides.
 */
import { PROTOCOL } from "../instance.ts";
import type { DeathCause, InstanceRecord } from "../store.ts";
import type { Link } from "./link.ts";
import type { Member, Records } from "./records.ts";

/** A main loop that is blocked cannot beat: while it is present its lease counts this many times. */
const PRESENT_MAIN_LEASES = 4;
/** Late after this many intervals without a beat. */
const LATE_INTERVALS = 1.5;
/** A loop that is stuck for less (ms) is only busy. */
const BLOCKED_FROM = 1_000;
/** One look can fall into a reconnect; this many cannot. */
const LOOKS = 2;
/** So many, and more than half, do not die at the same moment. */
const CROWD = 3;

const CAUSES: readonly DeathCause[] = ["lapsed", "replaced", "absent"];

export class Evidence {
  /** So many vanished together that absence proves nothing. */
  readonly distrusted: boolean;
  readonly #records: Records;
  readonly #link: Link;

  constructor(records: Records, link: Link) {
    this.#records = records;
    this.#link = link;
    this.distrusted = this.#manyVanished();
  }

  /** Why a member is to be declared dead, if it is. */
  causeOf(member: Member): DeathCause | undefined {
    return CAUSES.find((cause) => this.holds(member, cause));
  }

  holds(member: Member, cause: DeathCause): boolean {
    if (cause === "left" || cause === "reported") return true; // it says so itself, or the books of its queue do
    if (cause === "lapsed") return this.#silence(member) >= this.#limit(member);
    if (!this.#vanished(member)) return false;
    return cause === "replaced"
      ? this.#successor(member) !== undefined
      : this.#absentFor(member) >= member.registration.grace;
  }

  isLate(member: Member): boolean {
    return this.#missedABeat(member) && !this.#leaseIsOver(member);
  }

  isBlocked(member: Member): boolean {
    if (this.holds(member, "lapsed")) return false;
    return member.lease.blockedFor >= BLOCKED_FROM || this.#leaseIsOver(member);
  }

  describe(member: Member, cause: DeathCause): string {
    const beat = `last beat ${this.#link.now - member.lease.at} ms ago`;
    if (cause === "left") return `declared by itself on leaving, ${beat}`;
    if (cause === "lapsed") return `no beat for ${this.#silence(member)} ms of observed time, ${beat}`;
    const absent = `absent for ${this.#absentFor(member)} ms of observed time, ${beat}`;
    return cause === "absent" ? absent : `${absent}, replaced by ${this.#successor(member)?.registration.incarnation}`;
  }

  stateOf(member: Member): Pick<InstanceRecord, "state" | "evidence"> {
    const beat = `last beat ${this.#link.now - member.lease.at} ms ago`;
    const silence = `no beat for ${this.#silence(member)} ms of observed time`;
    const { blockedFor } = member.lease;
    if (member.leaving) return { state: "leaving", evidence: `began to retire, ${beat}` };
    if (blockedFor >= BLOCKED_FROM)
      return { state: "blocked", evidence: `event loop stuck for ${blockedFor} ms, ${beat}` };
    if (this.isBlocked(member)) return { state: "blocked", evidence: `present, but ${silence}` };
    return this.#missedABeat(member) ? { state: "late", evidence: silence } : { state: "alive", evidence: beat };
  }

  #silence({ lease }: Member): number {
    return this.#records.observed - lease.observed;
  }

  #limit({ lease, registration }: Member): number {
    const blocked = registration.pulse === "main" && this.#link.present(registration.incarnation);
    return blocked ? PRESENT_MAIN_LEASES * lease.ttl : lease.ttl;
  }

  #missedABeat(member: Member): boolean {
    return this.#silence(member) >= LATE_INTERVALS * member.lease.interval;
  }

  #leaseIsOver(member: Member): boolean {
    return this.#silence(member) >= member.lease.ttl;
  }

  #absentFor({ absence }: Member): number {
    return absence ? this.#records.observed - absence.since : 0;
  }

  /* Presence of another protocol may mean something else: its lease decides. */
  #vanished({ registration, seen, absence }: Member): boolean {
    if (this.distrusted || registration.protocol !== PROTOCOL || seen !== this.#link.runId) return false;
    return (absence?.looks ?? 0) >= LOOKS && !this.#link.present(registration.incarnation);
  }

  #successor({ registration }: Member): Member | undefined {
    return this.#records.members
      .itemsAfter(registration.incarnation)
      .find((later) => later.registration.name === registration.name);
  }

  #manyVanished(): boolean {
    const seen = this.#records.members.items().filter((member) => member.seen === this.#link.runId);
    const absent = seen.filter((member) => member.absence).length;
    return absent >= CROWD && absent * 2 > seen.length;
  }
}
