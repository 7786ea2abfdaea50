/* Chromium, as the system's packages have it, driven by playwright-core, which brings none of its own. */
import { delimiter, join } from "node:path";
import { canUseApt, installWithApt, isExecutable } from "@assured-jobs/dev-redis/apt";
import { chromium } from "playwright-core";

const HOW_TO_INSTALL = "No chromium on PATH. Install one, e.g. apt-get install chromium, or brew install chromium.";

export async function ensureChromium() {
  const found = find();
  if (found) return found;
  if (!canUseApt()) throw new Error(HOW_TO_INSTALL);
  await installWithApt("chromium");
  const installed = find();
  if (!installed) throw new Error(HOW_TO_INSTALL);
  return installed;
}

/* A container's root has no sandbox to put the browser in. */
export async function openBrowser() {
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: await ensureChromium(), args });
}

function find() {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const files = folders.flatMap((folder) =>
    ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)),
  );
  return files.find(isExecutable);
}
