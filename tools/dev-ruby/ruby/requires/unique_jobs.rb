# frozen_string_literal: true

require "sidekiq-unique-jobs"

pushes = ->(config) { config.client_middleware { |chain| chain.add SidekiqUniqueJobs::Middleware::Client } }

Sidekiq.configure_client(&pushes)
Sidekiq.configure_server do |config|
  pushes.call(config)
  config.server_middleware { |chain| chain.add SidekiqUniqueJobs::Middleware::Server }
  SidekiqUniqueJobs::Server.configure(config)
end
