/* A server that speaks RESP and answers as it is told: for what no real server here would say. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Answers by command name, in RESP; `OK` for those that are not listed. */
export type Answers = Readonly<Record<string, string>>;

export interface FakeRedis {
  readonly url: string;
  stop(): Promise<void>;
}

export const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

export async function startFakeRedis(answers: Answers): Promise<FakeRedis> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    let received = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      received += chunk;
      for (let command = take(); command; command = take()) {
        socket.write(answers[command[0]!.toUpperCase()] ?? "+OK\r\n");
      }
    });
    /* One command: *<n>, then $<length> and the text, n times. */
    function take(): string[] | undefined {
      const head = /^\*(\d+)\r\n/.exec(received);
      if (!head) return undefined;
      const words: string[] = [];
      let rest = received.slice(head[0].length);
      while (words.length < Number(head[1])) {
        const size = /^\$(\d+)\r\n/.exec(rest);
        const from = size?.[0].length ?? 0;
        const to = from + Number(size?.[1]);
        if (!size || rest.length < to + 2) return undefined;
        words.push(rest.slice(from, to));
        rest = rest.slice(to + 2);
      }
      received = rest;
      return words;
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
