# frozen_string_literal: true

# In Ruby's favour: two lines of log for each job would be half of its work.
Sidekiq.logger.level = Logger::WARN

# Does nothing, and writes nothing.
class BenchJob
  include Sidekiq::Job

  def perform = nil
end
