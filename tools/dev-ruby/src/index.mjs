/* Ruby, and the gems of a set by name and version, for tests that must agree with the real Sidekiq.
 *
 * Nothing is installed into the system or the user's home: each set has a folder of its own below `.tools`, and a
 * process that we start sees the gems of its set and no others.
 */
export { ensureRuby, rubyAvailable } from "./install.mjs";
export { startRuby } from "./console.mjs";
export { startSidekiq } from "./worker.mjs";
