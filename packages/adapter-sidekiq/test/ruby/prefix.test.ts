/* Up to Sidekiq 6, redis-namespace puts a prefix before each key: with `prefix` both sides share all of it. */
import { gate, until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import { eachRuby } from "./support.ts";

await eachRuby(
  (scene) => {
    test("Ruby runs what Node pushed, now and later, and nothing is outside the namespace", async () => {
      const client = scene().client();
      const now = await client.push({ class: "EchoJob", args: ["now"] });
      const later = await client.performIn(0.3, { class: "EchoJob", args: ["later"] });
      expect((await scene().redis.keys("*")).toSorted()).toEqual([
        "shop:queue:default",
        "shop:queues",
        "shop:schedule",
      ]);
      await scene().hire({ poll: 0.1 });
      for (const jid of [now, later]) await scene().heard("echo", jid);
    });

    test("Node runs what Ruby pushed, is shown at it, hears Quiet, and fails it into Ruby's retry set", async () => {
      const { ruby, redis } = scene();
      const { opened, open } = gate();
      const worker = await scene().work({
        handlers: {
          EchoJob: async () => {
            await opened;
            throw new Error("not here");
          },
        },
      });
      const jid = await ruby.call("push", { class: "EchoJob", args: ["namespaced"] });
      await until("it is shown at work", async () =>
        (await ruby.call("work_set")).some(({ payload }) => payload["jid"] === jid),
      );
      expect(await ruby.call("process_set")).toMatchObject([{ identity: worker.identity }]);
      expect((await ruby.call("web", "/busy")).body).toContain("namespaced");
      expect(await ruby.call("quiet", worker.identity)).toBe(true);
      await until("it is shown as quiet", async () => (await ruby.call("process_set"))[0]?.stopping);
      open();
      const [entry] = await until("it failed", async () => {
        const entries = await ruby.call("retry_set");
        return entries.length > 0 && entries;
      });
      expect(entry).toMatchObject({ jid, item: { error_message: "not here" } });
      expect(await ruby.call("stats")).toMatchObject({ processed: 1, failed: 1 });
      expect((await redis.keys("*")).filter((key) => !key.startsWith("shop:"))).toEqual([]);
      await worker.stop();
      await ruby.call("enqueue_entry", jid!, "retry");
      await scene().hire();
      await scene().heard("echo", jid);
    });
  },
  { sets: ["sidekiq6"], namespace: "shop" },
);
