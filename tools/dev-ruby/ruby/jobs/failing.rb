# frozen_string_literal: true

# Each tells of every try in `fails`, of its end in `exhausted`; and every death of whatever job is told in `deaths`.
class FailJob
  include Sidekiq::Job
  include Tells

  sidekiq_retries_exhausted do |job, error|
    Sidekiq.redis { |conn| conn.rpush("exhausted", JSON.generate(job: job, error: error&.message)) }
    nil # a symbol would mean something from 7.2 on
  end

  def perform(message = "boom", error = "RuntimeError")
    tell("fails", message: message)
    raise Object.const_get(error), message
  end
end

class FailNowJob < FailJob
  sidekiq_options retry: 0
end

class NoRetryJob < FailJob
  sidekiq_options retry: false
end

class RetryInJob < FailJob
  sidekiq_retry_in { |count, error| error.message.to_i + count }
end

# Sidekiq 6.4 knows neither of these two answers, and retries as if there were none.
class DiscardJob < FailJob
  sidekiq_retry_in { :discard }
end

class KillJob < FailJob
  sidekiq_retry_in { :kill }
end

class NotDeadJob < FailJob
  sidekiq_options retry: 0, dead: false
end

Sidekiq.configure_server do |config|
  config.death_handlers << lambda do |job, error|
    Sidekiq.redis { |conn| conn.rpush("deaths", JSON.generate(job: job, error: error&.message)) }
  end
end
