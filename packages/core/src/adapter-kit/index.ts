/* What adapters have in common. For authors of adapters; a program that only uses them needs none of it. */
export { withinDeadline } from "./deadline.ts";
export { reasonOf } from "../errors.ts";
export { Loop } from "../loop.ts";
export { override } from "./override.ts";
export { Ownership } from "./ownership.ts";
export { connectionOf } from "../redis/connection.ts";
export { createClient } from "../redis/link.ts";
export { tracking } from "./track.ts";
export type { IsTracked, Track } from "./track.ts";
