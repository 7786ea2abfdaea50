/* Calls one step again and again, never two at a time.
 *
 * The step says how long to wait for the next one; wake() cuts the wait short, and a wake during a step makes another
 * step follow at once, so no notice is lost. stop() is idempotent, legal before start(), and resolves when no step runs.
 */
export class Loop {
  readonly #step: () => Promise<number>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #awake = false;
  #stopped = true;

  /** @param step resolves to the ms until the next step; it must not reject. */
  constructor(step: () => Promise<number>) {
    this.#step = step;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.wake(); // a step from before stop() may still go on
  }

  wake(): void {
    if (this.#stopped) return;
    if (this.#running) this.#awake = true;
    else this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void (this.#running = this.#run()), delay).unref();
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // #running is set before the step begins, which may wake or stop its own loop
    const delay = await this.#step();
    this.#running = undefined;
    if (this.#stopped) return;
    this.#schedule(this.#awake ? 0 : delay);
    this.#awake = false;
  }
}
