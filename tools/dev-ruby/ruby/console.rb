# frozen_string_literal: true

# Answers each line of standard input, {id, method, args}, with a line {id, result} or {id, error}. What the gems print
# goes to standard error, which leaves standard output to the answers.
require "json"

answers = $stdout.dup
answers.sync = true
$stdout.reopen($stderr)
$stdout.sync = true

require_relative "app"
require "sidekiq/api"
Dir[File.join(__dir__, "console", "*.rb")].sort.each { |file| require file }

class Console
  GROUPS = [Pushing, Sets, Processes, Web, UniqueJobs, AssuredJobs, Text].freeze
  include(*GROUPS)

  def ping = "pong"

  # What jobs have told in a list, see jobs.rb.
  def told(list) = Sidekiq.redis { |conn| conn.lrange(list, 0, -1) }.map { |text| JSON.parse(text) }

  # For what has no method here: the value of its last expression, if JSON has it.
  def evaluate(source) = TOPLEVEL_BINDING.eval(source)

  def answer(request)
    method = request.fetch("method")
    raise NoMethodError, "no method #{method}" unless METHODS.include?(method.to_sym)
    {result: public_send(method, *request.fetch("args"))}
  rescue StandardError, ScriptError => e
    {error: {type: e.class.name, message: e.message, backtrace: e.backtrace}}
  end

  METHODS = [self, *GROUPS].flat_map { |group| group.public_instance_methods(false) } - [:answer]
end

console = Console.new
$stdin.each_line do |line|
  request = JSON.parse(line)
  text = JSON.generate({id: request["id"]}.merge(console.answer(request)))
rescue JSON::GeneratorError => e
  text = JSON.generate(id: request["id"], error: {type: e.class.name, message: e.message.scrub})
ensure
  answers.puts(text)
end
