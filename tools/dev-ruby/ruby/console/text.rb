# frozen_string_literal: true

class Console
  module Text
    def json_generate(value) = JSON.generate(value)

    # How Ruby would write what it has read.
    def json_roundtrip(texts) = texts.map { |text| JSON.generate(JSON.parse(text)) }

    def inflate_backtrace(text) = Sidekiq::JobRecord.new({"error_backtrace" => text}).error_backtrace

    def versions = Gem.loaded_specs.transform_values { |spec| spec.version.to_s }.merge("ruby" => RUBY_VERSION)
  end
end
