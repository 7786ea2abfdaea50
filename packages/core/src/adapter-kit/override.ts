/* Puts a function of ours in the place of a method of one instance, and back. */

/** Returns how to undo it. Where somebody put theirs on top meanwhile, ours stays below and must only pass through. */
export function override<T extends object, K extends keyof T>(
  target: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const own = Object.hasOwn(target, name);
  const original = target[name];
  const ours = make(original);
  target[name] = ours;
  return () => {
    if (target[name] !== ours) return;
    if (own) target[name] = original;
    else Reflect.deleteProperty(target, name);
  };
}
