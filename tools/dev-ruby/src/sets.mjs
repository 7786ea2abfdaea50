/* Which gems make up a set, each in one exact version, with all that they load.
 *
 * The lists are complete because `gem install` is told to follow no dependencies: what it would choose changes from
 * day to day. What is missing here and comes with Ruby itself (bigdecimal, drb, mutex_m) needs no compiler that way.
 */
const activeJob6 = {
  activejob: "6.1.7.10",
  activesupport: "6.1.7.10",
  "concurrent-ruby": "1.3.4", // activesupport 6.1 breaks with later ones, which do not load the logger for it
  globalid: "1.4.0",
  i18n: "1.15.2",
  minitest: "5.27.0",
  tzinfo: "2.0.6",
  zeitwerk: "2.6.18",
};

const activeJob7 = {
  ...activeJob6,
  activejob: "7.1.6",
  activesupport: "7.1.6",
  benchmark: "0.5.0",
  "concurrent-ruby": "1.3.8",
  securerandom: "0.4.1",
};

const sidekiq7 = {
  ...activeJob7,
  base64: "0.3.0",
  connection_pool: "2.5.5",
  logger: "1.7.0",
  rack: "3.2.8",
  "redis-client": "0.31.0",
  sidekiq: "7.3.10",
  "sidekiq-unique-jobs": "8.1.0",
  thor: "1.5.0",
};

export const SETS = {
  sidekiq6: {
    ...activeJob6,
    "brpoplpush-redis_script": "0.1.3",
    connection_pool: "2.5.5",
    rack: "2.2.25",
    redis: "4.8.1",
    "redis-namespace": "1.11.0",
    sidekiq: "6.4.1",
    "sidekiq-assured-jobs": "1.1.0",
    "sidekiq-unique-jobs": "7.1.33",
    thor: "1.5.0",
  },
  sidekiq7: { ...sidekiq7, redis: "4.8.1", "sidekiq-assured-jobs": "1.1.0" },
  sidekiq8: { ...sidekiq7, json: "2.21.2", sidekiq: "8.0.10" },
};
