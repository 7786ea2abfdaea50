# frozen_string_literal: true

# Makes the gems of one set, and no others, those that `require` finds. Activating each of them by hand puts them before
# whatever the system has in the same name: Debian keeps its own copies of some in Ruby's library path.
home = ENV.fetch("GEM_HOME")
Gem::Specification.select { |spec| spec.base_dir == home }.sort_by(&:name).each do |spec|
  # It asks for Sidekiq < 7, but works with 7.3 as well.
  if spec.name == "sidekiq-assured-jobs" && Gem.loaded_specs["sidekiq"].version >= Gem::Version.new("7")
    $LOAD_PATH.unshift(*spec.full_require_paths)
  else
    gem spec.name, "= #{spec.version}"
  end
end

if Gem.loaded_specs["sidekiq"].required_ruby_version.satisfied_by?(Gem.ruby_version)
  require "sidekiq"
else
  require_relative "older_ruby"
end

Redis.silence_deprecations = true if defined?(Redis) # sadd and friends, on every call
