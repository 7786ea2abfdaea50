import { describe, expect, test, vi } from "vitest";
import { ensureRuby } from "../src/index.mjs";
import { assemble } from "./crew.ts";
import { sets } from "./sets.ts";

describe.each(sets)("%s", (set) => {
  test("the console has the versions of its set loaded, and no others", async () => {
    const { ruby } = await assemble(set, { requires: ["active-job", "unique-jobs"] });
    const { gems } = await ensureRuby(set);
    expect(await ruby.call("versions")).toMatchObject(gemsActivated(gems));
    expect(await ruby.call("evaluate", "[Sidekiq::VERSION, ActiveJob.version.to_s, JSON::VERSION]")).toEqual([
      gems["sidekiq"],
      gems["activejob"],
      gems["json"] ?? (await ruby.call("versions"))["json"],
    ]);
  });

  test("what Ruby raises arrives, and the console lives on", async () => {
    const { ruby } = await assemble(set);
    await expect(ruby.call("evaluate", "raise ArgumentError, 'on purpose'")).rejects.toMatchObject({
      name: "RubyError",
      type: "ArgumentError",
      message: "ArgumentError: on purpose",
    });
    await expect(ruby.call("evaluate", '"no UTF-8: \\xff"')).rejects.toThrow("GeneratorError");
    await expect(ruby.call("evaluate", "1 +")).rejects.toThrow("SyntaxError");
    expect(await ruby.call("evaluate", "1 + 1")).toBe(2);
    await ruby.call("evaluate", "puts 'this is no answer'");
    await vi.waitFor(() => expect(ruby.log()).toContain("this is no answer"));
  });

  test("calls that wait when the console ends are rejected", async () => {
    const { ruby } = await assemble(set);
    const waiting = ruby.call("evaluate", "$stderr.puts 'last words'; exit!");
    await expect(waiting).rejects.toThrow("last words");
    await expect(ruby.call("stats")).rejects.toThrow("has ended");
  });

  test("text is as Ruby writes it", async () => {
    const { ruby } = await assemble(set);
    const [text] = await ruby.call("json_roundtrip", ['[1.0, 1e20, 12345678901234567890, "\\u2028/\\u0001"]']);
    const float = set === "sidekiq8" ? "1e+20" : "1.0e+20"; // the json gem changed it in 2.11
    expect(text).toBe(`[1.0,${float},12345678901234567890,"\u2028/\\u0001"]`);
    expect(await ruby.call("json_generate", { a: [1.5, null] })).toBe('{"a":[1.5,null]}');
  });

  test("jobs wait in queues and in the schedule", async () => {
    const { ruby } = await assemble(set);
    const jid = await ruby.call("push_text", '{"class":"EchoJob","args":[12345678901234567890],"queue":"low"}');
    await ruby.call("push_bulk", { class: "EchoJob", args: [[1], [2]] });
    const [job] = await ruby.call("queue_jobs", "low");
    expect(job).toMatchObject({ jid, class: "EchoJob", queue: "low" });
    expect(job!.value).toContain('"args":[12345678901234567890]');
    expect((await ruby.call("stats")).queues).toEqual({ default: 2, low: 1 });

    const late = await ruby.call("perform_in", "EchoJob", 600, "late");
    const [entry] = await ruby.call("schedule_set");
    expect(entry).toMatchObject({ jid: late, args: ["late"] });
    await ruby.call("evaluate", `Sidekiq.redis { |conn| conn.zincrby("schedule", -1000, '${entry!.value}') }`);
    await ruby.call("poll_once");
    expect(await ruby.call("schedule_set")).toEqual([]);
    expect((await ruby.call("queue_jobs", "default")).map((one) => one.jid)).toContain(late);
  });
});

test.runIf(sets.includes("sidekiq6"))("a namespace is before all keys", async () => {
  const { ruby, hire } = await assemble("sidekiq6", { namespace: "shop" });
  await hire();
  await ruby.call("push", { class: "EchoJob", args: [] });
  const keys = await ruby.call("evaluate", "Sidekiq.redis { |conn| conn.redis.keys('*') }");
  expect(keys).toContain("shop:processes");
  expect((keys as string[]).filter((key) => !key.startsWith("shop:"))).toEqual([]);
});

/* Put into the load path by hand where its own requirements forbid more. */
function gemsActivated(gems: Readonly<Record<string, string>>): Record<string, string> {
  const byHand = gems["sidekiq"]!.startsWith("6") ? "" : "sidekiq-assured-jobs";
  return Object.fromEntries(Object.entries(gems).filter(([name]) => name !== byHand));
}
