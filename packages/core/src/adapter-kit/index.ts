/* What adapters have in common. For authors of adapters; a program that only uses them needs none of it. */
export { withinDeadline } from "./deadline.ts";
export { reasonOf } from "../errors.ts";
export { override } from "./override.ts";
export { Ownership } from "./ownership.ts";
export { tracking } from "./track.ts";
export type { IsTracked, Track } from "./track.ts";
