# frozen_string_literal: true

class TrackedSleep < SleepJob
  include Sidekiq::AssuredJobs::Worker
end

class TrackedEcho < EchoJob
  include Sidekiq::AssuredJobs::Worker
end
