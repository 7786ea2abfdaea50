# frozen_string_literal: true

class Console
  # The web pages, without a server: a browser's session lasts as long as this process.
  module Web
    def web(path, method = "GET", params = {})
      require "rack"
      require "sidekiq/web"
      require "sidekiq_unique_jobs/web" if defined?(SidekiqUniqueJobs)
      @session ||= {csrf: SecureRandom.base64(32)}
      params = params.merge("authenticity_token" => @session[:csrf]) unless method == "GET"
      answer = Rack::MockRequest.new(Sidekiq::Web).request(method, path, :params => params, "rack.session" => @session)
      {status: answer.status, headers: answer.headers.to_h, body: answer.body.dup.force_encoding("UTF-8").scrub}
    end
  end
end
