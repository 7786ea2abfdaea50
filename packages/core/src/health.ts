/* What to answer to /livez and /readyz. */
import type { InstanceInfo } from "./assurance.ts";
import type { Liveness } from "./liveness.ts";
import type { Membership } from "./membership.ts";
import type { Settings } from "./options.ts";

export interface HealthReport {
  /** Restarting the process would not help while this is true: answer 200 on /livez. */
  readonly live: boolean;
  /** Jobs that start now are assured: answer 200 on /readyz, else 503. */
  readonly ready: boolean;
  readonly instance: InstanceInfo;
  readonly store: { readonly reachable: boolean; readonly lastBeatAgo: number | undefined };
  /** `main`: a blocked event loop stops the beats. `present`: others notice a death within about a second. */
  readonly pulse: { readonly mode: "thread" | "main" | "none"; readonly present: boolean };
  /** Duties that this process has now. */
  readonly duties: readonly string[];
  /** Why it is not ready, and what works less well than it could. */
  readonly problems: readonly string[];
}

export function healthOf(
  info: InstanceInfo,
  membership: Membership,
  liveness: Liveness,
  settings: Settings,
): HealthReport {
  const { pulse } = membership;
  const lastBeatAgo = pulse?.lastBeat === undefined ? undefined : Date.now() - pulse.lastBeat;
  const problems = [...problemsOf(info, membership, lastBeatAgo, settings.heartbeatTtl)];
  return {
    live: info.phase !== "gone",
    ready: info.role === "observer" ? membership.storeUp : info.phase === "member" && problems.length === 0,
    instance: info,
    store: { reachable: membership.storeUp, lastBeatAgo },
    pulse: { mode: pulse?.mode ?? "none", present: pulse?.present ?? false },
    duties: [...liveness.held],
    problems,
  };
}

function* problemsOf(
  info: InstanceInfo,
  membership: Membership,
  lastBeatAgo: number | undefined,
  ttl: number,
): Generator<string> {
  if (info.role === "worker" && info.phase !== "member") yield `this instance is ${info.phase}`;
  if (!membership.storeUp) yield "the store cannot be reached";
  if (lastBeatAgo !== undefined && lastBeatAgo > ttl)
    yield `no beat was confirmed for ${Math.round(lastBeatAgo / 1_000)} s`;
}
