# frozen_string_literal: true

User = Struct.new(:id) do
  include GlobalID::Identification

  def self.find(id) = new(id.to_i)
end

class AjEchoJob < ActiveJob::Base
  include Tells

  queue_as :default

  def jid = provider_job_id

  # As a Ruby of the other side sees them: symbols, times and records are no JSON.
  def perform(*args) = tell("echo", args: args.map(&:inspect), job_id: job_id)
end

class ReportJob < AjEchoJob
  queue_as :reports
end

class AjFailJob < ActiveJob::Base
  queue_as :default

  def perform(message = "boom") = raise(message)
end
