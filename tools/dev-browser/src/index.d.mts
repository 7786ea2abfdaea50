import type { Browser } from "playwright-core";

/** Path of a Chromium, installed first where apt can (Debian or Ubuntu, as root); else throws how to get one. */
export function ensureChromium(): Promise<string>;

/** A Chromium without a window. Close it when the test is over. */
export function openBrowser(): Promise<Browser>;
