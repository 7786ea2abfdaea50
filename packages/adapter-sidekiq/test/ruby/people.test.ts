/* What a person does with a job by way of the adapter is what the buttons of Sidekiq's Web do: each on one of two twins. */
import { expect, onTestFinished, test } from "vitest";
import { sidekiqAdapter } from "../../src/index.ts";
import type { SidekiqAdapter } from "../../src/index.ts";
import { eachRuby, jobText } from "./support.ts";
import type { Scene } from "./support.ts";

const QUEUE = "idle"; // nobody works on it
const KEY = `sidekiq:${QUEUE}`;

const FAILURE = {
  error_message: "boöm",
  error_class: "ArgumentError",
  failed_at: 1795456990.25,
  retry: 3,
  args: [1, "ä", { 10: 1.5 }],
};

function adapterOf({ url }: Scene): SidekiqAdapter {
  const adapter = sidekiqAdapter({ redis: url, queues: [QUEUE] });
  onTestFinished(() => adapter.detach());
  return adapter;
}

/* The text that each of the two leaves in the queue, without what is of its own. */
async function twins(
  scene: Scene,
  { set, fields }: { readonly set: string; readonly fields: Readonly<Record<string, unknown>> },
  acts: { readonly ruby: (jid: string) => Promise<unknown>; readonly node: (jid: string) => Promise<unknown> },
): Promise<{ byRuby: string; byNode: string }> {
  const act = async (jid: "ruby" | "node"): Promise<string> => {
    await scene.redis.zadd(set, "1795457000", jobText({ queue: QUEUE, ...FAILURE, ...fields, jid }));
    await acts[jid](jid);
    expect(await scene.entries(set)).toEqual([]);
    const [text = "nothing"] = await scene.waiting(QUEUE);
    await scene.redis.del(`queue:${QUEUE}`);
    return text.replace(/"enqueued_at":[\d.]+/, '"enqueued_at":now').replace(`"${jid}"`, '"jid"');
  };
  return { byRuby: await act("ruby"), byNode: await act("node") };
}

await eachRuby(
  (scene) => {
    test.each([0, 1, 3])("retry() of a dead job whose count is %i puts it back as Ruby does", async (count) => {
      const adapter = adapterOf(scene());
      const { byRuby, byNode } = await twins(
        scene(),
        { set: "dead", fields: { retry_count: count } },
        {
          ruby: (jid) => scene().ruby.call("retry_entry", jid, "dead"),
          node: (jid) => adapter.retry(KEY, jid),
        },
      );
      expect(byNode).toBe(byRuby);
    });

    test.each(["dead", "retry", "schedule"] as const)(
      "discard() of a job in %s leaves nothing of it, as in Ruby",
      async (set) => {
        const adapter = adapterOf(scene());
        const { byRuby, byNode } = await twins(
          scene(),
          { set, fields: { retry_count: 0 } },
          {
            ruby: (jid) => scene().ruby.call("delete_entry", jid, set),
            node: (jid) => adapter.discard(KEY, jid),
          },
        );
        expect(byNode).toBe("nothing");
        expect(byRuby).toBe("nothing");
      },
    );

    test("what Ruby has moved meanwhile is refused, and moved once", async () => {
      const adapter = adapterOf(scene());
      await scene().redis.zadd("dead", "1795457000", jobText({ queue: QUEUE, ...FAILURE, jid: "one" }));
      expect(await scene().ruby.call("retry_entry", "one", "dead")).toBe(true);
      await expect(adapter.retry(KEY, "one")).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
      expect(await scene().waiting(QUEUE)).toHaveLength(1);
    });
  },
  { sets: ["sidekiq6", "sidekiq7"] },
);
