/* The Rubies that this machine has. The others are skipped by name, with the reason. */
import { startRedis } from "@assured-jobs/dev-redis";
import { rubyAvailable, startRuby } from "@assured-jobs/dev-ruby";
import type { ApplicationOptions, RubyConsole, SetName } from "@assured-jobs/dev-ruby";
import { afterAll, beforeAll, describe, test } from "vitest";

export interface RubyScene {
  readonly url: string;
  readonly ruby: RubyConsole;
  readonly set: SetName;
}

const SETS: readonly SetName[] = ["sidekiq6", "sidekiq7", "sidekiq8"];

/** The same promises for each version of Sidekiq, each with a Redis and a Ruby of its own. */
export async function forEachRuby(
  define: (scene: () => RubyScene) => void,
  options: Omit<ApplicationOptions, "redisUrl"> = {},
): Promise<void> {
  for (const set of SETS) {
    const reason = process.env["CI"] === undefined ? await rubyAvailable(set) : undefined; // on CI none may be missing
    if (reason === undefined) describe(set, () => define(sceneOf(set, options)));
    else test.skip(`${set} is not available: ${reason}`, () => {});
  }
}

function sceneOf(set: SetName, options: Omit<ApplicationOptions, "redisUrl">): () => RubyScene {
  const undo: (() => Promise<unknown>)[] = [];
  let scene: RubyScene;
  beforeAll(async () => {
    const redis = await startRedis({ own: true });
    undo.push(() => redis.stop());
    const ruby = await startRuby(set, { redisUrl: redis.url, ...options });
    undo.push(() => ruby.close());
    scene = { url: redis.url, ruby, set };
  }, 120_000);
  afterAll(async () => {
    for (const step of undo.toReversed()) await step();
  });
  return () => scene;
}
