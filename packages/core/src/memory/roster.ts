/* The roster in memory: who lives, and how a death is declared.
 *
 * A death is final because declare() leaves the tombstone in the very step in which it re-checks the evidence, and
 * because register() and beat() look for the tombstone before anything else.
 */
import type { Incarnation, Registration } from "../instance.ts";
import type {
  Beat,
  BeatReply,
  Death,
  InstanceRecord,
  Look,
  LookRequest,
  Page,
  PageRequest,
  Registered,
  Roster,
  Suspect,
} from "../store.ts";
import { Evidence } from "./evidence.ts";
import type { Link } from "./link.ts";
import type { Lease, Member, Records } from "./records.ts";
import { pass, takeDuties, WATCH } from "./watch.ts";

export class MemoryRoster implements Roster {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  register(registration: Registration): Promise<Registered> {
    return this.#link.call((records) => {
      const { incarnation } = registration;
      if (records.tombstones.has(incarnation)) return { fenced: true, siblings: [] };
      const former = records.members.get(incarnation);
      records.members.put(incarnation, {
        registration: structuredClone(registration),
        lease: this.#lease(records, { ...registration, blockedFor: 0 }),
        leaving: former?.leaving ?? false,
        seen: this.#link.present(incarnation) ? this.#link.runId : former?.seen,
        absence: undefined,
      });
      records.changes++;
      return { fenced: false, siblings: this.#siblings(records, registration) };
    });
  }

  beat(beat: Beat): Promise<BeatReply> {
    return this.#link.call((records) => {
      if (records.tombstones.has(beat.incarnation)) return "fenced";
      const member = records.members.get(beat.incarnation);
      if (!member) return "unknown";
      // It lives, however its subscription fares.
      records.members.put(beat.incarnation, { ...member, lease: this.#lease(records, beat), absence: undefined });
      return "alive";
    });
  }

  leave(incarnation: Incarnation): Promise<void> {
    return this.#link.call((records) => {
      const member = records.members.get(incarnation);
      if (member) records.members.put(incarnation, { ...member, leaving: true });
    });
  }

  retire(incarnation: Incarnation, mayReturn: boolean = false): Promise<void> {
    return this.#link.call((records) => {
      if (records.tombstones.has(incarnation)) return; // dead, or retired before: what it left is not touched
      strike(records, incarnation);
      if (mayReturn) records.tombstones.delete(incarnation);
      dropClaims(records, incarnation);
      records.history.record("deaths", { type: "instance.retired", who: incarnation }, this.#link.now);
    });
  }

  look(request: LookRequest): Promise<Look> {
    return this.#link.call((records) => {
      const held = takeDuties(records, this.#link, request);
      const watching = held.includes(WATCH);
      if (watching) pass(records, this.#link, request.interval);
      const evidence = new Evidence(records, this.#link);
      const members = records.members.items();
      return {
        observed: records.observed,
        held,
        population: members.length,
        deaths: records.deaths,
        changes: records.changes,
        suspects: watching ? suspectsAmong(members, evidence) : [],
        late: incarnations(members.filter((member) => evidence.isLate(member))),
        blocked: incarnations(members.filter((member) => evidence.isBlocked(member))),
        distrusted: evidence.distrusted,
        malformed: 0,
        presence: true,
      };
    });
  }

  yieldDuties(by: Incarnation, duties: readonly string[]): Promise<void> {
    return this.#link.call((records) => {
      for (const duty of duties) if (records.duties.get(duty)?.holder === by) records.duties.delete(duty);
    });
  }

  declare({ incarnation, cause, evidence: reported = "" }: Suspect): Promise<Death | undefined> {
    return this.#link.call((records) => {
      const member = records.members.get(incarnation);
      if (!member) return undefined; // somebody was faster, or it retired
      const evidence = new Evidence(records, this.#link);
      if (!evidence.holds(member, cause)) return undefined;
      const death: Death = {
        registration: member.registration,
        cause,
        evidence: cause === "reported" ? reported : evidence.describe(member, cause),
        observed: records.observed,
        at: this.#link.now,
        leaving: member.leaving,
      };
      this.#enter(records, death);
      return death;
    });
  }

  dead(): Promise<readonly Death[]> {
    return this.#link.call((records) => records.dead.items());
  }

  forget(incarnation: Incarnation): Promise<void> {
    return this.#link.call((records) => {
      if (records.dead.delete(incarnation)) dropClaims(records, incarnation); // nobody will ask for them any more
    });
  }

  instances(page: PageRequest): Promise<Page<InstanceRecord>> {
    return this.#link.call((records) => {
      const evidence = new Evidence(records, this.#link);
      const { items, ...rest } = records.members.page(page);
      return {
        items: items.map((member) => ({ registration: member.registration, ...evidence.stateOf(member) })),
        ...rest,
      };
    });
  }

  #enter(records: Records, death: Death): void {
    const { incarnation } = death.registration;
    strike(records, incarnation);
    records.dead.put(incarnation, death);
    records.deaths++;
    const event = { type: "instance.dead", who: incarnation, evidence: death.evidence, detail: death.cause };
    records.history.record("deaths", event, death.at);
    this.#link.announce(incarnation);
  }

  #lease(records: Records, { ttl, interval, blockedFor }: Pick<Beat, "ttl" | "interval" | "blockedFor">): Lease {
    return { observed: records.observed, at: this.#link.now, ttl, interval, blockedFor };
  }

  #siblings(records: Records, { name, incarnation }: Registration): Incarnation[] {
    const others = incarnations(records.members.items().filter((member) => member.registration.name === name));
    return others.filter((other) => other !== incarnation && this.#link.present(other));
  }
}

/* From the living, for ever; a dead one keeps its claims, since they help to recover its jobs. */
function strike(records: Records, incarnation: Incarnation): void {
  records.members.delete(incarnation);
  records.tombstones.add(incarnation);
  records.changes++;
  for (const [duty, { holder }] of records.duties) if (holder === incarnation) records.duties.delete(duty);
}

function dropClaims(records: Records, incarnation: Incarnation): void {
  records.claims.deleteWhere((claim) => claim.holder === incarnation);
}

function suspectsAmong(members: readonly Member[], evidence: Evidence): Suspect[] {
  return members.flatMap((member) => {
    const cause = evidence.causeOf(member);
    return cause ? [{ incarnation: member.registration.incarnation, cause }] : [];
  });
}

function incarnations(members: readonly Member[]): Incarnation[] {
  return members.map((member) => member.registration.incarnation);
}
