# frozen_string_literal: true

# Counts to `last`, and tells each number in `iterations`: interrupted, it goes on where it was.
class CountJob
  include Sidekiq::IterableJob
  include Tells

  def build_enumerator(last, _seconds = 0, cursor:) = array_enumerator((1..last).to_a, cursor: cursor)

  def each_iteration(number, _last, seconds = 0)
    tell("iterations", number: number)
    sleep seconds
  end

  def on_resume = tell("resumes")

  def on_complete = tell("dones")
end
