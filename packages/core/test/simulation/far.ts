/* A server's part as one process has it: the same methods, each of them a call over a path. */
import type { Path } from "./path.ts";

type Method = (...given: unknown[]) => Promise<unknown>;

/** @param near the part as it is on the server: an object whose own properties are its methods */
export function far<Part extends object>(path: Path, name: string, near: Part): Part {
  const calls: Record<string, Method> = {};
  for (const method in near) {
    const act = near[method] as Method;
    calls[method] = (...given) => path.call(`${name}.${method}`, () => act(...given));
  }
  return calls as Part;
}
