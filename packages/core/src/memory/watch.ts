/* The watch: the one duty that moves observed time and notes who is present.
 *
 * Time moves by what the server's clock says has passed since the last pass, but never back and never by more than
 * two looks. A clock that jumps, a server that was frozen and a fleet that nobody watched thus age nobody.
 */
import { Evidence } from "./evidence.ts";
import type { LookRequest } from "../store.ts";
import type { Link } from "./link.ts";
import type { Duty, Member, Records } from "./records.ts";

/** The duty of declaring deaths. All other duties are queue keys. */
export const WATCH = "watch";

/** Takes or renews the wanted duties that are in reach; returns those held now. */
export function takeDuties(records: Records, link: Link, { by, duties, dutyTtl }: LookRequest): string[] {
  if (!records.members.get(by)) return []; // unknown or dead
  const held = duties.filter((duty) => isInReach(records, link, by, records.duties.get(duty)));
  for (const duty of held) records.duties.set(duty, { holder: by, lookedAt: link.now, ttl: dutyTtl });
  return held;
}

/** One pass of the one on watch. */
export function pass(records: Records, link: Link, interval: number): void {
  const passed = link.now - (records.lastPass ?? link.now);
  records.observed += Math.min(Math.max(passed, 0), 2 * interval);
  records.lastPass = link.now;
  const crowd = records.crowd || new Evidence(records, link).distrusted;
  for (const member of records.members.items()) {
    // When a broken path is whole again, who comes back last has its grace anew.
    const before = crowd ? { ...member, absence: undefined } : member;
    records.members.put(member.registration.incarnation, { ...member, ...presenceOf(before, records.observed, link) });
  }
  records.crowd = new Evidence(records, link).distrusted;
}

function isInReach(records: Records, link: Link, by: string, duty: Duty | undefined): boolean {
  if (!duty || duty.holder === by) return true;
  const holder = records.members.get(duty.holder);
  const vanished = holder?.seen === link.runId && !link.present(duty.holder);
  // A clock that jumped, in whatever direction, ends a duty too: a duty only saves work.
  return vanished || Math.abs(link.now - duty.lookedAt) >= duty.ttl;
}

function presenceOf(
  { registration, seen, absence }: Member,
  observed: number,
  link: Link,
): Pick<Member, "seen" | "absence"> {
  if (link.present(registration.incarnation)) return { seen: link.runId, absence: undefined };
  if (seen !== link.runId) return { seen: undefined, absence: undefined }; // what another run saw proves nothing here
  return { seen, absence: { since: absence?.since ?? observed, looks: (absence?.looks ?? 0) + 1 } };
}
