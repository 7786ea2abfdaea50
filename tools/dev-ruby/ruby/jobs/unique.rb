# frozen_string_literal: true

class UniqueEcho < EchoJob
  sidekiq_options lock: :until_executed
end

class UniqueSleep < SleepJob
  sidekiq_options lock: :until_executed, lock_info: true
end

class UntilExecutingEcho < EchoJob
  sidekiq_options lock: :until_executing
end

class UntilExpiredEcho < EchoJob
  sidekiq_options lock: :until_expired, lock_ttl: 60
end

class UntilAndWhileExecutingSleep < SleepJob
  sidekiq_options lock: :until_and_while_executing
end

class WhileExecutingSleep < SleepJob
  sidekiq_options lock: :while_executing, on_conflict: :reschedule
end

# The same job under two locks at once: two may wait, a third may not.
class TwiceSleep < SleepJob
  sidekiq_options lock: :until_executed, lock_limit: 2
end

class UniqueFail < FailJob
  sidekiq_options lock: :until_executed
end
