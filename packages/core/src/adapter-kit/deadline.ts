/* Every call to a queue ends within a deadline: drivers retry without limit, and a recovery must not hang on one queue.
 * What is given up may still happen later; that is safe, because each move compares before it acts. */
import { AssuranceError } from "../errors.ts";

/** ms */
const DEADLINE = 5_000;

/** Passes `work` through; rejects with ERR_QUEUE_UNREACHABLE after five seconds. */
export async function withinDeadline<T>(queue: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unreachable(queue)), DEADLINE);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

const unreachable = (queue: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `The Redis of queue "${queue}" did not answer within ${DEADLINE} ms. Nothing is lost: it is tried again. Check the connection that the adapter was given.`,
  );
