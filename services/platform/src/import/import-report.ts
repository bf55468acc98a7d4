// biome-ignore lint/plugin/files: the file that the operator names who runs an import
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { RefusedLine } from "./import-record.ts";

/** In this order in each line. */
const keys = ["line", "kind", "id", "reason", "field", "message"];

/** The file that says which lines were refused and why: NDJSON, in the order of the lines. */
export class ImportReport {
  readonly #file: string;
  #descriptor: number | undefined;
  #bytes: number;

  /** @param bytes how long it is with what was reported before; what is behind that was not committed, and goes */
  constructor(file: string, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
    if (existsSync(file)) this.#open();
    else this.#bytes = 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds lines, which are on the disk when it returns. */
  add(lines: readonly RefusedLine[]): void {
    if (lines.length === 0) return;
    const text = lines.map((line) => `${JSON.stringify(line, keys)}\n`).join("");
    const descriptor = this.#open();
    this.#bytes += writeSync(descriptor, text, this.#bytes);
    fsyncSync(descriptor);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    if (this.#descriptor !== undefined) return this.#descriptor;
    // Who was refused is nobody's business but the operator's.
    this.#descriptor = openSync(this.#file, existsSync(this.#file) ? "r+" : "w+", 0o600);
    ftruncateSync(this.#descriptor, this.#bytes);
    return this.#descriptor;
  }
}
