/* GlobalIDs: how Rails names a record in a job, `gid://shop/User/42`. A Node worker cannot load the record; it gets the
 * name, and a hook of the user may turn it into something. */
import { AssuranceError } from "@assured-jobs/core";

const SHAPE = /^gid:\/\/([^/?#]+)\/([^/?#]+)\/([^?#]+)(?:\?([^#]*))?$/;
const APP = /^[a-zA-Z\d-]+$/;

/** The name of a record. Make it with `globalId()`. */
export class GlobalId {
  readonly app: string;
  /** Class of the record, e.g. `User`. */
  readonly model: string;
  /** Its key; of a composite one all parts, joined by `/`. */
  readonly id: string;
  /** The parts of a composite key. */
  readonly ids: readonly string[];
  readonly params: Readonly<Record<string, string>>;
  /** As it stands in the job. */
  readonly uri: string;

  constructor(uri: string, [app, model, ids, params]: GlobalIdParts) {
    this.uri = uri;
    this.app = app;
    this.model = model;
    this.ids = ids;
    this.id = ids.join("/");
    this.params = params;
  }

  toString(): string {
    return this.uri;
  }

  toJSON(): string {
    return this.uri;
  }
}

type GlobalIdParts = readonly [
  app: string,
  model: string,
  ids: readonly string[],
  params: Readonly<Record<string, string>>,
];

/**
 * `globalId("shop", "User", 42)`: Rails loads that record before it runs the job. Several ids make a composite key.
 *
 * @throws AssuranceError ERR_OPTION for an app that Rails would refuse, and for an empty model or id.
 */
export function globalId(
  app: string,
  model: string,
  id: string | number | bigint | readonly (string | number | bigint)[],
  params: Readonly<Record<string, string>> = {},
): GlobalId {
  const ids = (Array.isArray(id) ? id : [id]).map(String);
  if (!APP.test(app)) throw wrong("app", "letters, digits and hyphens", app);
  if (typeof model !== "string" || model === "") throw wrong("model", "the name of a class", model);
  if (ids.length === 0 || ids.includes("")) throw wrong("id", "an id, or several", ids.join("/"));
  const query = new URLSearchParams(params).toString();
  const uri = `gid://${app}/${model}/${ids.map(escaped).join("/")}${query === "" ? "" : `?${query}`}`;
  return new GlobalId(uri, [app, model, ids, params]);
}

/** Undefined for a text that names no record. */
export function parseGlobalId(uri: string): GlobalId | undefined {
  const [, app, model, path, query] = SHAPE.exec(uri) ?? [];
  if (app === undefined || model === undefined || path === undefined) return undefined;
  const params = Object.fromEntries(new URLSearchParams(query ?? ""));
  return new GlobalId(uri, [app, model, path.split("/").map(unescaped), params]);
}

/* As Ruby's CGI does it: a space is a plus. */
const escaped = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text; // a percent sign that escapes nothing
  }
}

const wrong = (what: string, expected: string, got: unknown): AssuranceError =>
  new AssuranceError("ERR_OPTION", `globalId: ${what}: expected ${expected}, got ${JSON.stringify(got)}.`);
