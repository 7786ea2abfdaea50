# frozen_string_literal: true

# ActiveJob without the rest of Rails.
require "active_job"
require "sidekiq/job"

# From 7.3.3 on, Sidekiq brings an adapter of its own, which replaces that of Rails. Only a whole Rails application loads
# it by itself; and in 7.3 the class that it builds on is in a file that needs one.
adapter = File.join(Gem.loaded_specs["sidekiq"].full_gem_path, "lib/active_job/queue_adapters/sidekiq_adapter.rb")
if File.exist?(adapter)
  module Sidekiq
    module ActiveJob
      class Wrapper
        include Sidekiq::Job

        def perform(job_data) = ::ActiveJob::Base.execute(job_data.merge("provider_job_id" => jid))
      end
    end
  end
  require adapter
end

ActiveJob::Base.queue_adapter = :sidekiq
ActiveJob::Base.logger = Sidekiq.logger
GlobalID.app = "shop"
