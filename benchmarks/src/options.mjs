/* Kinds of options, and how they are read. Each benchmark takes its own ones and refuses the others: a mistake is a
 * sentence, and not a long run of the wrong thing. */
import { parseArgs } from "node:util";
import { queueNames } from "./queues/index.mjs";

export class UsageError extends Error {}

/**
 * @template T
 * @typedef {{ fallback: string, shown: string, expected: string, read: (text: string) => T | undefined }} Option
 */

/** @type {Option<string>} */
export const queue = {
  fallback: "bullmq",
  shown: queueNames.join("|"),
  expected: `one of ${queueNames.join(", ")}`,
  read: (text) => queueNames.find((name) => name === text),
};

/** For a benchmark that compares with what the other queues do not have. @param {string} name @returns {Option<string>} */
export const onlyQueue = (name) => ({
  fallback: name,
  shown: name,
  expected: `${name}, the only queue that this benchmark is for`,
  read: (text) => (text === name ? text : undefined),
});

/** @param {string} fallback @returns {Option<boolean>} */
export const yesNo = (fallback) => ({
  fallback,
  shown: "yes|no",
  expected: "yes or no",
  read: (text) => (text === "yes" || text === "no" ? text === "yes" : undefined),
});

/** @param {number} least @param {string} fallback @returns {Option<number>} */
export const whole = (least, fallback) => ({
  fallback,
  shown: "N",
  expected: `a whole number from ${least}`,
  read: (text) => numberFrom(least, text),
});

/** @param {number} least @param {string} fallback @returns {Option<number[]>} */
export const wholes = (least, fallback) => ({
  fallback,
  shown: "N,N...",
  expected: `whole numbers from ${least} with commas between`,
  read: (text) => {
    const numbers = text.split(",").map((one) => numberFrom(least, one));
    return numbers.every((one) => one !== undefined) ? numbers : undefined;
  },
});

/**
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, Option<unknown>>>} accepted
 * @returns {{ json: boolean, values: Record<string, unknown> }}
 */
export function readOptions(args, accepted) {
  const { json, ...given } = parse(args, Object.keys(accepted));
  const values = Object.entries(accepted).map(([name, option]) => {
    const text = String(given[name] ?? option.fallback);
    const value = option.read(text);
    if (value === undefined)
      throw new UsageError(`--${name}: expected ${option.expected}, got ${JSON.stringify(text)}`);
    return [name, value];
  });
  return { json: json === true, values: Object.fromEntries(values) };
}

/**
 * @param {readonly string[]} args
 * @param {readonly string[]} names
 * @returns {Record<string, string | boolean | undefined>}
 */
function parse(args, names) {
  const texts = Object.fromEntries(names.map((name) => [name, { type: /** @type {const} */ ("string") }]));
  try {
    return parseArgs({ args: [...args], options: { ...texts, json: { type: "boolean" } } }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {number} least @param {string} text */
function numberFrom(least, text) {
  const number = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least ? number : undefined;
}
