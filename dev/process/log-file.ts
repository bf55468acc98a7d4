import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A file grows to this size, then becomes `<name>.1` and begins anew: at most twice this is kept. */
const maxBytes = 4 * 1024 * 1024;

/** A log of bounded size. */
export class LogFile {
  readonly #path: string;
  #descriptor: number;
  #bytes: number;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, "a", 0o600);
    this.#bytes = statSync(path).size;
  }

  /** Adds a line. */
  write(line: string): void {
    if (this.#bytes > maxBytes) this.#turn();
    this.#bytes += writeSync(this.#descriptor, `${line}\n`);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #turn(): void {
    closeSync(this.#descriptor);
    renameSync(this.#path, `${this.#path}.1`);
    this.#descriptor = openSync(this.#path, "a", 0o600);
    this.#bytes = 0;
  }
}
