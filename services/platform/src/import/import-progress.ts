import type { Checkpoint } from "./import-table.ts";

/** How often is told how far an import has come, in milliseconds: on a terminal in one line, elsewhere in lines of a log. */
const everyMs = { terminal: 500, log: 10_000 };

/** Tells how far an import has come. */
export class ImportProgress {
  readonly #what: string;
  readonly #size: number | undefined;
  readonly #from: number;
  readonly #start = performance.now();
  readonly #output: NodeJS.WriteStream;
  #next = 0;

  /**
   * @param size of the file in bytes; undefined when it is not known
   * @param from the line that was done before
   */
  constructor(what: string, { size, from }: { size: number | undefined; from: number }, output = process.stderr) {
    this.#what = what;
    this.#size = size;
    this.#from = from;
    this.#output = output;
  }

  tell(checkpoint: Checkpoint, bytes: number): void {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + (this.#output.isTTY ? everyMs.terminal : everyMs.log);
    const text = this.#describe(checkpoint, bytes, (now - this.#start) / 1_000);
    this.#output.write(this.#output.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
  }

  /** Leaves the line free for what is said at the end. */
  end(): void {
    if (this.#output.isTTY) this.#output.write("\r\u001b[K");
  }

  #describe({ line, refused }: Checkpoint, bytes: number, seconds: number): string {
    const rate = Math.round((line - this.#from) / Math.max(seconds, 0.001));
    const share = this.#size ? bytes / this.#size : undefined;
    const left = share ? `, ${Math.floor(100 * share)} %, ${inWords((seconds * (1 - share)) / share)} left` : "";
    const wrong = refused > 0 ? `, ${refused.toLocaleString("en-US")} refused` : "";
    return `${this.#what}: ${line.toLocaleString("en-US")} lines, ${rate.toLocaleString("en-US")}/s${left}${wrong}`;
  }
}

function inWords(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
