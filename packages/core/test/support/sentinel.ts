/* One primary, one replica and one sentinel that moves the name to the replica when the primary is gone for a second. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedisServer, startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { eventually } from "./eventually.ts";

export interface Failover {
  readonly primary: RedisHandle;
  readonly replica: RedisHandle;
  /** What a user gives to ioredis. */
  readonly connection: { readonly sentinels: { host: string; port: number }[]; readonly name: string };
  stop(): Promise<void>;
}

export async function startFailover(): Promise<Failover> {
  const primary = await startRedis({ own: true });
  const replica = await startRedis({
    args: ["--replicaof", "127.0.0.1", String(primary.port), "--repl-diskless-sync-delay", "0"],
  });
  const sentinel = await startSentinel(primary.port);
  const failover = {
    primary,
    replica,
    connection: { sentinels: [{ host: "127.0.0.1", port: sentinel.port }], name: "ours" },
    stop: async () => {
      await sentinel.stop();
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
  try {
    await knowsReplica(sentinel.port);
    return failover;
  } catch (error) {
    await failover.stop();
    throw error;
  }
}

async function startSentinel(primary: number): Promise<{ port: number; stop(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "assured-jobs-sentinel-"));
  const port = await freePort();
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${dir}`,
    `sentinel monitor ours 127.0.0.1 ${primary} 1`,
    "sentinel down-after-milliseconds ours 1000",
    "sentinel failover-timeout ours 5000",
  ];
  const config = join(dir, "sentinel.conf");
  await writeFile(config, `${lines.join("\n")}\n`);
  const child = spawn(findRedisServer()!, [config, "--sentinel"], { stdio: "ignore" });
  const end = (): boolean => child.kill("SIGKILL");
  process.once("exit", end);
  return {
    port,
    stop: async () => {
      process.off("exit", end);
      const gone = once(child, "exit");
      if (end()) await gone;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function knowsReplica(port: number): Promise<void> {
  const sentinel = new Redis(port, "127.0.0.1", { retryStrategy: () => 20, maxRetriesPerRequest: null, protocol: 2 });
  sentinel.on("error", () => {});
  try {
    await eventually("the sentinel knows the replica", async () => {
      const replicas = (await sentinel.call("SENTINEL", "REPLICAS", "ours")) as string[][];
      return replicas.some((fields) => fields[fields.indexOf("master-link-status") + 1] === "ok");
    });
  } finally {
    sentinel.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
