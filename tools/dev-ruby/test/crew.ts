/* A Redis of its own for each test, and Ruby processes that end with the test. */
import { afterEach } from "vitest";
import { type RedisHandle, startRedis } from "../../dev-redis/src/index.mjs";
import {
  type ApplicationOptions,
  type RubyConsole,
  type RubyWorker,
  type SetName,
  type SidekiqOptions,
  startRuby,
  startSidekiq,
} from "../src/index.mjs";

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

export interface Crew {
  readonly redis: RedisHandle;
  readonly ruby: RubyConsole;
  readonly hire: (options?: Omit<SidekiqOptions, "redisUrl">) => Promise<RubyWorker>;
}

/** A console, and workers that are as impatient as tests are. */
export async function assemble(set: SetName, options: Omit<ApplicationOptions, "redisUrl"> = {}): Promise<Crew> {
  const redis = await startRedis({ own: true });
  undo.push(() => redis.stop());
  const ruby = await startRuby(set, { redisUrl: redis.url, ...options });
  undo.push(() => ruby.close());
  const hire = async (more: Omit<SidekiqOptions, "redisUrl"> = {}) => {
    const worker = await startSidekiq(set, { redisUrl: redis.url, beat: 0.2, poll: 0.2, ...options, ...more });
    undo.push(() => worker.kill());
    return worker;
  };
  return { redis, ruby, hire };
}
