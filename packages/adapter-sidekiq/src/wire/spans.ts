/* Where the top-level members of a JSON object stand in its text.
 *
 * A payload that goes through JSON.parse and JSON.stringify is another one: integers beyond 2^53 lose digits, 1.0 becomes
 * 1, numeric keys change places. So a job is edited where it stands, and everything else of it stays byte for byte.
 * The text must be valid JSON; nothing here checks that.
 */

/** One member: `start` to `end` is `"key": value`, `value` is where its value begins. */
export interface Member {
  readonly key: string;
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

const OPENS = /[{[]/y;
/** What may end or nest a value. */
const STRUCTURE = /["{}[\]]/g;
const SPACE = /[ \t\n\r]*/y;
const SCALAR = /[^,}\] \t\n\r]*/y;

/** The members of the object that `text` is, in their order. */
export function membersOf(text: string): readonly Member[] {
  const members: Member[] = [];
  let at = skip(SPACE, text, skip(SPACE, text, 0) + 1); // behind the brace
  while (text[at] === '"') {
    const start = at;
    const keyEnd = stringEnd(text, at);
    const value = skip(SPACE, text, skip(SPACE, text, keyEnd) + 1); // behind the colon
    const end = valueEnd(text, value);
    members.push({ key: JSON.parse(text.slice(start, keyEnd)) as string, start, value, end });
    const comma = skip(SPACE, text, end);
    at = text[comma] === "," ? skip(SPACE, text, comma + 1) : comma;
  }
  return members;
}

function skip(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  pattern.test(text);
  return pattern.lastIndex;
}

/* Behind the closing quote: the first one that no odd number of backslashes stands before. */
function stringEnd(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); ; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
}

function valueEnd(text: string, start: number): number {
  if (text[start] === '"') return stringEnd(text, start);
  OPENS.lastIndex = start;
  return OPENS.test(text) ? nestedEnd(text, start) : skip(SCALAR, text, start);
}

function nestedEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ;) {
    STRUCTURE.lastIndex = at;
    const found = STRUCTURE.exec(text)!.index;
    const mark = text[found];
    at = mark === '"' ? stringEnd(text, found) : found + 1;
    if (mark === "{" || mark === "[") depth++;
    else if (mark !== '"' && --depth === 0) return at;
  }
}
