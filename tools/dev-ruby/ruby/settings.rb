# frozen_string_literal: true

# Redis's own variable, REDIS_URL, is known to Sidekiq.
if (namespace = ENV["DEV_RUBY_NAMESPACE"])
  settings = ->(config) { config.redis = {namespace: namespace} }
  Sidekiq.configure_client(&settings)
  Sidekiq.configure_server(&settings)
end

Sidekiq.configure_server do |config|
  component = Sidekiq.const_defined?(:Component) ? Sidekiq::Component : Sidekiq::Util
  config.on(:heartbeat) { puts "dev-ruby ready: #{Object.new.extend(component).identity}" }

  if (seconds = ENV["DEV_RUBY_BEAT"])
    Sidekiq::Launcher.send(:remove_const, :BEAT_PAUSE)
    Sidekiq::Launcher.const_set(:BEAT_PAUSE, Float(seconds))
  end

  # The first pass comes 10 to 15 s after the start otherwise.
  if (seconds = ENV["DEV_RUBY_POLL"])
    settings = config.respond_to?(:options) ? config.options : config
    settings[:poll_interval_average] = Float(seconds)
    Sidekiq::Scheduled::Poller.prepend(Module.new { private def initial_wait = wait })
  end
end
