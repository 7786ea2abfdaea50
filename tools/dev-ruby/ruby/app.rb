# frozen_string_literal: true

# The application: what the environment asks for, and the jobs. Sidekiq's own program loads it last, when it is known
# whether this process is a server.
require_relative "settings"
ENV.fetch("DEV_RUBY_REQUIRES", "").split.each { |name| require_relative "requires/#{name.tr("-", "_")}" }
require_relative "jobs"
