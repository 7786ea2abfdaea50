# frozen_string_literal: true

class EchoJob
  include Sidekiq::Job
  include Tells

  def perform(*args) = tell("echo", args: args)
end

class SleepJob
  include Sidekiq::Job
  include Tells

  def perform(seconds, tag = nil)
    tell("starts", tag: tag)
    sleep seconds
    tell("dones", tag: tag)
  end
end
