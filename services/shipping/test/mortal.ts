/** The life of a process that ends, without a word, at its n-th step. */
export class Life {
  #steps = 0;
  readonly #last: number;
  readonly #death = Promise.withResolvers<"dead">();
  /** Resolves when it is over. */
  readonly death = this.#death.promise;
  over = false;

  /** @param last the step that is not taken any more */
  constructor(last: number) {
    this.#last = last;
  }

  /** Everything that `target` does from now on is a step, and so is going on after it. */
  share<T extends object>(target: T): T {
    const step = () => this.#step();
    return new Proxy(target, {
      get(object, name) {
        const value: unknown = Reflect.get(object, name, object);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]) => {
          await step();
          const result: unknown = await Reflect.apply(value, object, args);
          await step();
          return result;
        };
      },
    });
  }

  async #step(): Promise<void> {
    this.#steps += 1;
    if (this.#steps < this.#last) return;
    this.over = true;
    this.#death.resolve("dead");
    await new Promise(() => undefined);
  }
}
