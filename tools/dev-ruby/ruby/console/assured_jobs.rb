# frozen_string_literal: true

class Console
  # Only where sidekiq-assured-jobs is required.
  module AssuredJobs
    # One pass of its recovery.
    def assured_jobs_pass
      Sidekiq::AssuredJobs.reenqueue_orphans!
      nil
    end
  end
end
