/* Waits for a step, but not for ever. One that is given up may still happen: whoever gives it up must be safe with that. */

/** Passes `step` through, unless it takes longer than `ms`. */
export async function within<T>(ms: number, step: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${ms} ms; it goes on without`)), ms);
  });
  try {
    return await Promise.race([step, late]);
  } finally {
    clearTimeout(timer);
  }
}
