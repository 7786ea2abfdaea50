/* For --compare: the last Sidekiq that can live under a prefix of keys. Its fetch is that of all later ones, a BRPOP. */

/** @type {import("@assured-jobs/dev-ruby").SetName} */
export const RUBY_SET = "sidekiq6";
