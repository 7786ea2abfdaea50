# frozen_string_literal: true

class Console
  module Processes
    # Also forgets processes that have stopped beating, as a visit of the web page does.
    def process_set
      Sidekiq::ProcessSet.new.map do |process|
        process.instance_variable_get(:@attribs).merge("stopping" => process.stopping?, "labels" => process.labels)
      end
    end

    def work_set
      set = Sidekiq.const_defined?(:WorkSet) ? Sidekiq::WorkSet : Sidekiq::Workers
      set.new.map do |process, tid, work|
        hash = work.is_a?(Hash) ? work : work.instance_variable_get(:@hsh)
        payload = hash["payload"]
        payload = JSON.parse(payload) if payload.is_a?(String) # Sidekiq 6 has done so
        {process: process, tid: tid, queue: hash["queue"], run_at: hash["run_at"].to_f, payload: payload}
      end
    end

    def quiet(identity) = signal(identity, :quiet!)

    def stop(identity) = signal(identity, :stop!)

    private

    def signal(identity, action)
      process = Sidekiq::ProcessSet.new.find { |one| one["identity"] == identity }
      process&.public_send(action)
      !process.nil?
    end
  end
end
