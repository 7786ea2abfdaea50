/** The same methods as properties of a plain object, some of them changed. */
export function watched<Part extends object>(near: Part, change: Partial<Part> = {}): Part {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(near)).filter((name) => name !== "constructor");
  const bound = names.map((name) => [name, (Reflect.get(near, name) as () => void).bind(near)] as const);
  return { ...(Object.fromEntries(bound) as Part), ...change };
}
