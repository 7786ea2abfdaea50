/* A path to a server on this machine that a test can break in every way that a network breaks.
 *
 * TCP and loopback only, and it keeps no data: whatever is behind it cannot tell it from a bad network. One proxy is
 * one path: give each process its own to break the path of one, or the same to all to break everybody's.
 */
export { startProxy } from "./proxy.mjs";
