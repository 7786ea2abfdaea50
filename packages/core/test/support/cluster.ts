/* A real Redis Cluster on private ports, without replicas: what it does when a node is gone is then plain to see. */
import assert from "node:assert/strict";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { eventually } from "./eventually.ts";

const SLOTS = 16_384;
const ARGS =
  "--cluster-enabled yes --cluster-node-timeout 1000 --cluster-require-full-coverage no --cluster-announce-ip 127.0.0.1 --appendonly yes --appendfsync always".split(
    " ",
  );

/** One node, and a client for what no client of a Cluster would do. */
export interface ClusterNode {
  readonly server: RedisHandle;
  readonly admin: Redis;
}

export class RedisCluster {
  readonly nodes: readonly ClusterNode[];

  constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes;
  }

  /** As a user would name them. */
  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ server }) => ({ host: "127.0.0.1", port: server.port }));
  }

  /** The node that owns the slot of `{tag}`. */
  async owner(tag: string): Promise<ClusterNode> {
    const slot = await this.#slot(tag);
    for (const node of this.nodes.filter(({ admin }) => admin.status === "ready")) {
      const ranges = (await node.admin.cluster("SLOTS")) as unknown as [number, number, [string, number]][];
      const range = ranges.find(([first, last]) => first <= slot && slot <= last);
      const owner = this.nodes.find(({ server }) => server.port === range?.[2][1]);
      if (owner) return owner;
    }
    throw new Error(`nobody owns the slot of ${tag}`);
  }

  /** Kills a node and starts it again. Resolves when it takes writes. */
  async restart(node: ClusterNode, { wipe }: { wipe: boolean }): Promise<void> {
    if (wipe) await node.admin.flushall();
    await node.server.restart();
    await isServing(node);
  }

  /** Moves the slot of `{tag}`, with its keys, to another node; `meanwhile` runs while both have some of them. */
  async migrate(tag: string, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    const [slot, from] = [await this.#slot(tag), await this.owner(tag)];
    const to = this.nodes.find((node) => node !== from)!;
    const [fromId, toId] = [await from.admin.cluster("MYID"), await to.admin.cluster("MYID")];
    await to.admin.cluster("SETSLOT", slot, "IMPORTING", fromId);
    await from.admin.cluster("SETSLOT", slot, "MIGRATING", toId);
    const keysLeft = (count: number): Promise<string[]> => from.admin.cluster("GETKEYSINSLOT", slot, count);
    for (let keys = await keysLeft(2), first = true; keys.length > 0; keys = await keysLeft(10), first = false) {
      await from.admin.call("MIGRATE", "127.0.0.1", to.server.port, "", 0, 5_000, "KEYS", ...keys);
      if (first) await meanwhile();
    }
    for (const { admin } of [to, from, ...this.nodes]) await admin.cluster("SETSLOT", slot, "NODE", toId);
    assert.equal(await this.owner(tag), to);
  }

  async stop(): Promise<void> {
    for (const { admin } of this.nodes) admin.disconnect();
    await Promise.all(this.nodes.map(({ server }) => server.stop()));
  }

  async #slot(tag: string): Promise<number> {
    const up = this.nodes.find(({ admin }) => admin.status === "ready")!;
    return up.admin.cluster("KEYSLOT", `{${tag}}`);
  }
}

/** Resolves when all slots are served, and every node knows it. */
export async function startCluster({
  size = 3,
  args = [],
}: { size?: number; args?: readonly string[] } = {}): Promise<RedisCluster> {
  const servers = await Promise.all(
    Array.from({ length: size }, () => startRedis({ own: true, args: [...ARGS, ...args] })),
  );
  const nodes = servers.map((server) => ({ server, admin: adminOf(server) }));
  const cluster = new RedisCluster(nodes);
  try {
    for (const [i, { admin }] of nodes.entries()) {
      const [first, last] = [Math.ceil((i * SLOTS) / size), Math.ceil(((i + 1) * SLOTS) / size) - 1];
      await admin.cluster("SET-CONFIG-EPOCH", i + 1);
      await admin.call("CLUSTER", "ADDSLOTSRANGE", first, last);
    }
    for (const { server } of nodes.slice(1)) await nodes[0]!.admin.cluster("MEET", "127.0.0.1", server.port);
    for (const node of nodes) await isServing(node, size);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function adminOf(server: RedisHandle): Redis {
  const admin = new Redis(server.port, "127.0.0.1", {
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    protocol: 2,
  });
  admin.on("error", () => {});
  return admin;
}

async function isServing({ admin }: ClusterNode, size = 0): Promise<void> {
  await eventually("the node serves the whole Cluster", async () => {
    const info = await admin.cluster("INFO");
    const [slots, known] = ["cluster_slots_assigned", "cluster_known_nodes"].map((name) =>
      Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]),
    );
    return info.includes("cluster_state:ok") && slots === SLOTS && known! >= size;
  });
}
