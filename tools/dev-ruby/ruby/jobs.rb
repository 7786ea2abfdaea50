# frozen_string_literal: true

# Jobs that tell in lists of Redis what became of them: each entry is a JSON object with at least class, jid and pid.
module Tells
  def tell(list, facts = {})
    told = JSON.generate({class: self.class.name, jid: jid, pid: Process.pid}.merge(facts))
    Sidekiq.redis { |conn| conn.rpush(list, told) }
  end
end

require_relative "jobs/plain"
require_relative "jobs/failing"
require_relative "jobs/tracked" if defined?(Sidekiq::AssuredJobs)
require_relative "jobs/unique" if defined?(SidekiqUniqueJobs)
require_relative "jobs/active" if defined?(ActiveJob::Base)
require_relative "jobs/iterable" if Sidekiq.const_defined?(:IterableJob)
