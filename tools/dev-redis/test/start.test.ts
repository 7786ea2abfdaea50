import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { type RedisHandle, type RedisOptions, startRedis } from "../src/index.mjs";

const orphanMaker = fileURLToPath(new URL("orphan-maker.mjs", import.meta.url));
const started: RedisHandle[] = [];

async function start(options: RedisOptions = { own: true }): Promise<RedisHandle> {
  const redis = await startRedis(options);
  started.push(redis);
  return redis;
}

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const redis of started.splice(0)) await redis.stop();
});

test("a private server answers, and leaves nothing behind when stopped", async () => {
  const redis = await start();
  expect(await ask(redis.port, "PING")).toBe("+PONG\r\n");
  await redis.stop();
  await expect(ask(redis.port, "PING")).rejects.toThrow("ECONNREFUSED");
  expect(existsSync(redis.dir)).toBe(false);
});

test("many servers can be started at the same time", async () => {
  const servers = await Promise.all(Array.from({ length: 8 }, () => start()));
  expect(new Set(servers.map(({ port }) => port)).size).toBe(8);
});

test("a taken port is refused when it was asked for by number", async () => {
  const { port } = await start();
  await expect(start({ port })).rejects.toThrow(`Port ${port} is taken`);
});

test("a server that cannot start says why", async () => {
  await expect(start({ args: ["--no-such-option", "1"] })).rejects.toThrow("no-such-option");
});

test("a server that was killed comes back on its port, with what it had persisted", async () => {
  const redis = await start({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  await ask(redis.port, "SET kept 1");
  await redis.kill("SIGKILL");
  await redis.restart();
  expect(await ask(redis.port, "EXISTS kept")).toBe(":1\r\n");
  await redis.restart({ wipe: true });
  expect(await ask(redis.port, "EXISTS kept")).toBe(":0\r\n");
});

test("a paused server keeps its clients waiting until it is resumed", async () => {
  const redis = await start();
  await redis.pause();
  const answer = ask(redis.port, "PING");
  const early = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, "none"))]);
  expect(early).toBe("none");
  await redis.resume();
  expect(await answer).toBe("+PONG\r\n");
});

test("REDIS_URL is handed out as it is, and is not ours to stop", async () => {
  const given = await start();
  vi.stubEnv("REDIS_URL", given.url);
  const redis = await startRedis();
  expect(redis).toMatchObject({ url: given.url, port: given.port, owned: false });
  await redis.stop();
  await expect(redis.kill()).rejects.toThrow("not ours");
  expect(await ask(given.port, "PING")).toBe("+PONG\r\n");
  expect((await start({ own: true })).port).not.toBe(given.port);
});

test.each([
  ["ends without stopping it", "leave", undefined],
  ["throws", "throw", undefined],
  ["gets Ctrl-C", "wait", "SIGINT"],
  ["is killed", "wait", "SIGKILL"],
] as const)("a server does not outlive a process that %s", async (_, mode, signal) => {
  const child = spawn(process.execPath, [orphanMaker, mode], { stdio: ["ignore", "pipe", "ignore"] });
  const closed = once(child, "close");
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const { port, dir } = JSON.parse(line) as { port: number; dir: string };
  if (signal) child.kill(signal);
  await closed;

  await vi.waitFor(() => expect(ask(port, "PING")).rejects.toThrow("ECONNREFUSED"), 5000);
  await vi.waitFor(() => expect(existsSync(dir)).toBe(false), 5000);
});

function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${command}\r\n`)).setEncoding("utf8");
    socket.once("error", reject).once("data", (reply: string) => {
      socket.destroy();
      resolve(reply);
    });
  });
}
