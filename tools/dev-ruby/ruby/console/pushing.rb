# frozen_string_literal: true

class Console
  module Pushing
    def push(item) = Sidekiq::Client.push(item)

    # For numbers that the other side cannot spell: the item is the text of a JSON object.
    def push_text(text) = Sidekiq::Client.push(JSON.parse(text))

    def push_bulk(item) = Sidekiq::Client.push_bulk(item)

    # Unlike push, with the options of the class.
    def perform_async(name, *args) = Object.const_get(name).perform_async(*args)

    def perform_in(name, seconds, *args) = Object.const_get(name).perform_in(seconds, *args)

    def active_job_push(name, *args)
      job = Object.const_get(name).perform_later(*args)
      {job_id: job.job_id, jid: job.provider_job_id}
    end

    # What a server does every few seconds with jobs that are due.
    def poll_once
      require "sidekiq/scheduled"
      configured = Sidekiq.respond_to?(:default_configuration)
      poller = configured ? Sidekiq::Scheduled::Enq.new(Sidekiq.default_configuration) : Sidekiq::Scheduled::Enq.new
      poller.enqueue_jobs
      nil
    end
  end
end
