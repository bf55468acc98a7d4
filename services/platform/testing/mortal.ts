/** What each line fails with when its process is dead. */
export const dead = new Error("the process is dead");

/** The life of a process, which ends at one of its lines: from then on none does anything, nor those that would tidy up. */
export class Life {
  readonly #diesAt: number;
  /** How many there were. */
  lines = 0;

  /** @param diesAt the last line that is done; Infinity for a life that does not end */
  constructor(diesAt: number) {
    this.#diesAt = diesAt;
  }

  get over(): boolean {
    return this.lines > this.#diesAt;
  }

  /** An object whose calls are lines: before they are made, and after. */
  share<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return async (...given: unknown[]) => {
          this.#line();
          const result: unknown = await Reflect.apply(value, target, given);
          this.#line();
          return result;
        };
      },
    });
  }

  /** Waits for what the process does, to its end. @throws what fails while it lives */
  async through(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!this.over) throw error;
    }
  }

  #line(): void {
    this.lines += 1;
    if (this.over) throw dead;
  }
}
