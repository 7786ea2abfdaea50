# frozen_string_literal: true

class Console
  # Only where sidekiq-unique-jobs is required.
  module UniqueJobs
    def reap
      SidekiqUniqueJobs::Orphans::Reaper.call
      nil
    end

    def digests = SidekiqUniqueJobs::Digests.new.entries.to_h

    def locks(digest)
      lock = SidekiqUniqueJobs::Lock.new(digest)
      {locked: lock.locked_jids(with_values: true).to_h, queued: lock.queued_jids, primed: lock.primed_jids,
       info: lock.info.value}
    end

    # Of a job as it is pushed; the texts of JSON objects, so that numbers stay as they are.
    def lock_digests(texts)
      texts.map do |text|
        item = JSON.parse(text)
        SidekiqUniqueJobs::Job.prepare(item)
        item["lock_digest"]
      end
    end
  end
end
