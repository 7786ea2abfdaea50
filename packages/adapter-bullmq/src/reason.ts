/** What to print of something that was thrown, whatever it is. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
