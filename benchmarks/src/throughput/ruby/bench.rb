# frozen_string_literal: true

# Ruby loads this before Sidekiq; the class itself, which needs Sidekiq, is loaded when the first job asks for it.
autoload :BenchJob, File.join(__dir__, "bench_job.rb")
