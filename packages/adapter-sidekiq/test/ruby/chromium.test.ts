/* Sidekiq's own pages in a real browser: a person sees our process and its job there, and quietens it by the button. */
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { ensureChromium, openBrowser } from "@assured-jobs/dev-browser";
import { until } from "@assured-jobs/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { eachRuby } from "./support.ts";
import type { Scene } from "./support.ts";

/** The pages are Ruby's; only the socket is ours, since Ruby has no web server here. */
async function serve({ ruby }: Scene): Promise<string> {
  const server: Server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const { path, params } = await asked(request);
      const method = request.method === "POST" ? "POST" : "GET";
      const { status, headers, body } = await ruby.call("web", path, method, params);
      response.writeHead(status, pageHeaders(headers)).end(body);
    };
    void answer().catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function asked(request: IncomingMessage): Promise<{ path: string; params: Record<string, string> }> {
  const url = new URL(request.url ?? "/", "http://localhost");
  const fields = new URLSearchParams(await text(request));
  return { path: url.pathname, params: Object.fromEntries([...url.searchParams, ...fields]) };
}

/* Where Ruby sends the browser, it means its own host. */
function pageHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const isWanted = ["content-type", "location"].includes(name.toLowerCase());
    if (isWanted) kept[name] = value.replace(/^https?:\/\/[^/]+/, "");
  }
  return kept;
}

const missing = await ensureChromium().then(
  () => undefined,
  ({ message }: Error) => message,
);
if (missing !== undefined && !process.env["CI"]) test.skip(`Chromium is not available: ${missing}`, () => {});
else await besideRuby();

function besideRuby(): Promise<void> {
  return eachRuby(
    (scene) => {
      test("in Chromium the Busy page shows our process and job, and its Quiet button reaches it", async () => {
        const worker = await scene().work({ tag: "shop", handlers: { NodeJob: () => new Promise(() => {}) } });
        const jid = await scene().ruby.call("push", { class: "NodeJob", args: ["seen by a person"], queue: "default" });
        await until("it runs", () => worker.busy === 1);
        const address = await serve(scene());
        const browser = await openBrowser();
        onTestFinished(() => browser.close());
        const page = await browser.newPage();
        await page.goto(`${address}/busy`);
        const shown = await page.locator("body").innerText();
        for (const part of ["shop", `:${process.pid}`, String(jid), "NodeJob", "seen by a person"])
          expect(shown).toContain(part);
        page.on("dialog", (dialog) => void dialog.accept()); // it asks whether one is sure
        await page.locator("[name=quiet]").first().click();
        await until("it is quiet", async () => {
          const [process] = await scene().ruby.call("process_set");
          return process?.quiet === "true";
        });
        await page.goto(`${address}/busy`);
        expect(await page.locator("body").innerText()).toMatch(/quiet/i);
      }, 60_000);
    },
    { sets: ["sidekiq7"] },
  );
}
