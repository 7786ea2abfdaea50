import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedisServer } from "./binary.mjs";
import { PortTaken, launch } from "./launch.mjs";

const PORT_ATTEMPTS = 10;
const HIGHEST_PORT = 55_535; // a cluster node also listens 10,000 above

export async function startRedis(options = {}) {
  const own = options.own ?? Object.keys(options).length > 0;
  if (process.env.REDIS_URL && !own) return givenRedis(process.env.REDIS_URL);

  const binary = findRedisServer();
  if (!binary) throw new Error("No redis-server or valkey-server on PATH; ensureRedisServer() says how to get one");
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "dev-redis-")));
  await mkdir(dir, { recursive: true });
  const plan = { binary, dir, args: options.args ?? [], temporary: options.dir === undefined };
  try {
    return new PrivateRedis(plan, await launchOnFreePort(plan, options.port));
  } catch (error) {
    await removeIfTemporary(plan);
    throw error;
  }
}

class PrivateRedis {
  owned = true;
  #plan;
  #server;
  #stopped = false;

  constructor(plan, server) {
    this.#plan = plan;
    this.#server = server;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  get port() {
    return this.#server.port;
  }

  get pid() {
    return this.#server.pid;
  }

  get dir() {
    return this.#plan.dir;
  }

  async stop() {
    this.#stopped = true;
    await this.#server.end("SIGKILL");
    await removeIfTemporary(this.#plan);
  }

  async kill(signal = "SIGKILL") {
    await this.#server.end(signal);
  }

  async restart({ wipe = false } = {}) {
    if (this.#stopped) throw new Error("This Redis was stopped for good; start another one");
    await this.#server.end("SIGTERM");
    if (wipe) await empty(this.dir);
    this.#server = await launch({ ...this.#plan, port: this.port });
  }

  async pause() {
    this.#server.signal("SIGSTOP");
  }

  async resume() {
    this.#server.signal("SIGCONT");
  }
}

/* A server of somebody else: we may talk to it, and nothing more. */
function givenRedis(url) {
  const refuse = async () => {
    throw new Error("REDIS_URL names a server that is not ours to signal; use startRedis({ own: true })");
  };
  return {
    url,
    port: Number(new URL(url).port || 6379),
    owned: false,
    pid: 0,
    dir: "",
    stop: async () => {},
    kill: refuse,
    restart: refuse,
    pause: refuse,
    resume: refuse,
  };
}

/* Between finding a free port and listening on it, another process may take it: try the next. */
async function launchOnFreePort(plan, wanted) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch({ ...plan, port: wanted ?? (await freePort()) });
    } catch (error) {
      const another = error instanceof PortTaken && wanted === undefined && attempt < PORT_ATTEMPTS;
      if (!another) throw error;
    }
  }
}

async function freePort() {
  for (;;) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    if (port <= HIGHEST_PORT) return port;
  }
}

async function removeIfTemporary({ dir, temporary }) {
  if (temporary) await rm(dir, { recursive: true, force: true });
}

async function empty(dir) {
  for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true });
}
