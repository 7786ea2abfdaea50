/** Closed until somebody opens it, then open for good. */
export class Gate {
  readonly opened: Promise<void>;
  #open: () => void = () => {};
  #isOpen = false;

  constructor() {
    this.opened = new Promise((resolve) => (this.#open = resolve));
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
    this.#open();
  }
}
