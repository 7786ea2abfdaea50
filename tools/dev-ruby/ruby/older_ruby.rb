# frozen_string_literal: true

# Loads Sidekiq 8 on Ruby 3.1. It wants 3.2, but all that it uses of it is below. It looks at the version only when it is
# loaded, so only then is it told another one.
require "set" # since 3.2 it comes by itself

# For its log.
class Exception
  prepend(Module.new do
    def full_message(**) = super.force_encoding(Encoding::UTF_8)
  end)

  def detailed_message(**) = "#{message} (#{self.class})"
end

real = RUBY_VERSION
Object.send(:remove_const, :RUBY_VERSION)
RUBY_VERSION = "3.2.0"
require "sidekiq"
Object.send(:remove_const, :RUBY_VERSION)
RUBY_VERSION = real
