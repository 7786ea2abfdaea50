import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { startProxy } from "../src/index.mjs";
import type { ProxyHandle } from "../src/index.mjs";

const WHILE = 150;

/** One end of a connection, and what has come of it. */
class End {
  readonly socket: Socket;
  readonly packets: string[] = [];
  ended = false;
  closed = false;
  error = "";

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true);
    socket
      .on("data", (bytes) => this.packets.push(String(bytes)))
      .on("end", () => (this.ended = true))
      .on("close", () => (this.closed = true))
      .on("error", (error: NodeJS.ErrnoException) => (this.error = error.code ?? error.message));
    onTestFinished(() => void socket.destroy());
  }

  get text(): string {
    return this.packets.join("");
  }
}

interface Scene {
  readonly proxy: ProxyHandle;
  /** A client, and the server's end of the same connection. */
  readonly open: () => Promise<{ client: End; server: End }>;
}

async function openScene(): Promise<Scene> {
  const accepted: Socket[] = [];
  const listener = createServer((socket) => accepted.push(socket)).listen(0, "127.0.0.1");
  await once(listener, "listening");
  onTestFinished(() => void listener.close());
  const proxy = await startProxy({ target: (listener.address() as AddressInfo).port });
  onTestFinished(() => proxy.stop());
  return {
    proxy,
    open: async () => {
      const before = accepted.length;
      const client = new End(connect(proxy.port, "127.0.0.1"));
      await eventually("the server has it", () => accepted.length > before);
      return { client, server: new End(accepted[before]!) };
    },
  };
}

async function eventually(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !condition(); await sleep(5)) {
    if (Date.now() > end) throw new Error(`still waiting: ${what}`);
  }
}

test("on a good path everything arrives in order, both ways, and the end of one is told to the other", async () => {
  const { proxy, open } = await openScene();
  const { client, server } = await open();
  for (let n = 0; n < 100; n++) {
    client.socket.write(`q${n};`);
    server.socket.write(`a${n};`);
  }
  const all = (letter: string): string => Array.from({ length: 100 }, (_, n) => `${letter}${n};`).join("");
  await eventually("all has arrived", () => server.text === all("q") && client.text === all("a"));
  expect(proxy.connections).toBe(1);
  client.socket.end();
  await eventually("the server knows", () => server.ended);
  await eventually("it is forgotten", () => proxy.connections === 0);
});

test("a cut path closes all connections and refuses new ones, until it is mended at the same port", async () => {
  const { proxy, open } = await openScene();
  const { port } = proxy;
  const both = [await open(), await open()];
  await proxy.cut();
  await eventually("all ends know", () => both.every(({ client, server }) => client.closed && server.closed));
  const refused = new End(connect(port, "127.0.0.1"));
  await eventually("a new one is refused", () => refused.error === "ECONNREFUSED");
  await proxy.mend();
  expect(proxy.port).toBe(port);
  const { client, server } = await open();
  client.socket.write("hello");
  await eventually("it works again", () => server.text === "hello");
});

test("on a frozen path nothing passes and no end is told; thawed, it all arrives", async () => {
  const { proxy, open } = await openScene();
  const [talking, dying] = [await open(), await open()];
  proxy.freeze();
  talking.client.socket.write("question");
  talking.server.socket.write("answer");
  dying.client.socket.destroy();
  await sleep(WHILE);
  expect([talking.server.text, talking.client.text, dying.server.ended]).toEqual(["", "", false]);
  proxy.thaw();
  await eventually("it all arrives", () => talking.server.text === "question" && talking.client.text === "answer");
  await eventually("the end is told", () => dying.server.ended);
});

test("frozen one way, the other way is open", async () => {
  const { proxy, open } = await openScene();
  const { client, server } = await open();
  proxy.freeze("replies");
  client.socket.write("question");
  server.socket.write("answer");
  await eventually("requests pass", () => server.text === "question");
  await sleep(WHILE);
  expect(client.text).toBe("");
  proxy.thaw();
  await eventually("late, but it comes", () => client.text === "answer");
});

test("what is lost never arrives; mending resets that connection, and no other", async () => {
  const { proxy, open } = await openScene();
  const [unlucky, idle] = [await open(), await open()];
  proxy.lose("replies");
  unlucky.client.socket.write("question");
  await eventually("requests pass", () => unlucky.server.text === "question");
  unlucky.server.socket.write("answer");
  await sleep(WHILE);
  await proxy.mend();
  await eventually("it is reset", () => unlucky.client.error === "ECONNRESET");
  expect(unlucky.client.text).toBe("");
  idle.server.socket.write("still here");
  await eventually("the other one lives on", () => idle.client.text === "still here");
});

test("a forgotten connection passes nothing and is not told, while a new one works", async () => {
  const { proxy, open } = await openScene();
  const old = await open();
  proxy.forget();
  old.client.socket.write("question");
  const fresh = await open();
  fresh.client.socket.write("hello");
  await eventually("the new one works", () => fresh.server.text === "hello");
  await sleep(WHILE);
  expect([old.server.text, old.client.closed]).toEqual(["", false]);
  await proxy.mend();
  await eventually("it is reset in the end", () => old.client.closed);
  expect(fresh.client.closed).toBe(false);
});

test("a slow path delays every packet and keeps the order, whatever the jitter", async () => {
  const { proxy, open } = await openScene();
  const { client, server } = await open();
  proxy.delay(100, 100);
  const before = performance.now();
  for (let n = 0; n < 20; n++) {
    client.socket.write(`${n};`);
    await sleep(2);
  }
  expect(server.text).toBe("");
  await eventually("it arrives", () => server.text.endsWith("19;"));
  expect(performance.now() - before).toBeGreaterThan(100);
  expect(server.text).toBe(Array.from({ length: 20 }, (_, n) => `${n};`).join(""));
});

test("a torn path delivers every packet in pieces", async () => {
  const { proxy, open } = await openScene();
  const { client, server } = await open();
  proxy.tear(3);
  client.socket.write("0123456789".repeat(20));
  await eventually("it arrives", () => server.text.length === 200);
  expect(server.text).toBe("0123456789".repeat(20));
  expect(server.packets.length).toBeGreaterThan(10);
});

test("a connection breaks off in the middle of a reply, and a later one does not", async () => {
  const { proxy, open } = await openScene();
  const { client, server } = await open();
  proxy.breakOff(4);
  const later = await open();
  server.socket.write("answer");
  later.server.socket.write("answer");
  await eventually("it is over", () => client.closed && server.closed);
  expect(client.text).toBe("answ");
  await eventually("the later one goes on", () => later.client.text === "answer");
});

test("reset tells both ends at once, and new connections may come", async () => {
  const { proxy, open } = await openScene();
  const { client, server } = await open();
  proxy.reset();
  await eventually("both know", () => client.error === "ECONNRESET" && server.error === "ECONNRESET");
  const again = await open();
  again.client.socket.write("hello");
  await eventually("it works", () => again.server.text === "hello");
});

test("a server that is not there is a connection that ends, not a crash", async () => {
  const proxy = await startProxy({ target: 1 });
  onTestFinished(() => proxy.stop());
  const client = new End(connect(proxy.port, "127.0.0.1"));
  await eventually("it is told", () => client.closed);
  await proxy.stop();
});
