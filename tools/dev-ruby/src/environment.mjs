/* What a Ruby process of ours inherits: everything but what would give it other gems or options than its set's. */
import { fileURLToPath } from "node:url";

const FOREIGN = /^(ASSURED_JOBS|BUNDLE|BUNDLER|DEV_RUBY|GEM|RUBY|SIDEKIQ)_|^RUBY(LIB|OPT)$|^REDIS_(PROVIDER|URL)$/;

const file = (name) => fileURLToPath(new URL(`../ruby/${name}`, import.meta.url));

/** By whatever PATH says. */
export const RUBY = "ruby";

export const BOOT = file("boot.rb");
export const APP = file("app.rb");
export const CONSOLE = file("console.rb");
export const LEASH = file("leash.rb");

export function environment({ gems, more = {} } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name));
  return { ...Object.fromEntries(inherited), ...(gems && { GEM_HOME: gems, GEM_PATH: gems }), ...more };
}

/** What app.rb reads. */
export function settings({ redisUrl, namespace, requires, poll, beat, env }) {
  const given = {
    REDIS_URL: redisUrl,
    DEV_RUBY_NAMESPACE: namespace,
    DEV_RUBY_REQUIRES: requires?.join(" "),
    DEV_RUBY_POLL: poll?.toString(),
    DEV_RUBY_BEAT: beat?.toString(),
  };
  return { ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)), ...env };
}
