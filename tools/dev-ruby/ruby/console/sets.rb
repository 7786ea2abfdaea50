# frozen_string_literal: true

class Console
  module Sets
    KINDS = {"retry" => Sidekiq::RetrySet, "dead" => Sidekiq::DeadSet, "schedule" => Sidekiq::ScheduledSet}.freeze

    def retry_set = entries("retry")

    def dead_set = entries("dead")

    def schedule_set = entries("schedule")

    def retry_entry(jid, set = "retry") = act(set, jid, :retry)

    def kill_entry(jid, set = "retry") = act(set, jid, :kill)

    def delete_entry(jid, set = "retry") = act(set, jid, :delete)

    def enqueue_entry(jid, set = "schedule") = act(set, jid, :add_to_queue)

    def queues = Sidekiq::Queue.all.map { |queue| {name: queue.name, size: queue.size, latency: queue.latency} }

    def queue_jobs(name) = Sidekiq::Queue.new(name).map { |job| described(job) }

    def stats
      stats = Sidekiq::Stats.new
      sizes = %i[processed failed enqueued scheduled_size retry_size dead_size processes_size workers_size]
      sizes.to_h { |name| [name, stats.public_send(name)] }.merge(queues: stats.queues)
    end

    private

    def entries(set) = KINDS.fetch(set).new.map { |job| described(job).merge(score: job.score, at: job.at.to_f) }

    def act(set, jid, action)
      entry = KINDS.fetch(set).new.find_job(jid)
      entry&.public_send(action)
      !entry.nil?
    end

    def described(job)
      {
        jid: job.jid, queue: job.queue, class: job.klass, display_class: job.display_class, args: job.args,
        created_at: job.created_at&.to_f, enqueued_at: job.enqueued_at&.to_f, error_backtrace: job.error_backtrace,
        item: job.item, value: job.value
      }
    end
  end
end
