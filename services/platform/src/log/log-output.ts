// biome-ignore lint/plugin/files: writes to what is open already
import { write as writeFile } from "node:fs";
import { Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { logDropped, logLag } from "#platform/metrics/process-metrics.ts";

const writeTo = promisify(writeFile);

/** Bytes of log lines that wait at most; what comes then is dropped and counted. */
const defaultWaitingBytes = 8 * 1024 * 1024;
/** Pause before a pipe that is full is tried again, in milliseconds. */
const fullPauseMs = 10;
/** How long the last lines of a process may take, in milliseconds. */
const flushTimeoutMs = 1_000;

/**
 * Standard output for log lines. Node writes to a pipe synchronously, so that a process stands still while whoever reads
 * its log does; this one writes aside, keeps a bounded number of bytes, and says how much waits and was dropped.
 */
export class LogOutput extends Writable {
  readonly #fd: number;
  readonly #most: number;
  readonly #unmeasure: () => void;
  #broken = false;

  /** @param fd the file descriptor, usually 1 */
  constructor(fd: number, mostWaitingBytes = defaultWaitingBytes) {
    super({ decodeStrings: true });
    this.#fd = fd;
    this.#most = mostWaitingBytes;
    this.#unmeasure = logLag.add(() => [[{}, this.writableLength]]);
  }

  /** Whether nobody reads any more: what is written is lost. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Whether there is place for one more line; if not, it is counted as dropped. */
  admit(): boolean {
    const place = !this.#broken && this.writableLength < this.#most;
    if (!place) logDropped.inc();
    return place;
  }

  /** Resolves when all lines so far are written, after a second at the latest. */
  async flush(): Promise<void> {
    const written = new Promise<void>((resolve) => this.write("", () => resolve()));
    const over = new AbortController();
    await Promise.race([written, pause(flushTimeoutMs, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    void this.#send(chunk).then(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    void this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk))).then(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#unmeasure();
    done(error);
  }

  /** Never fails: who closed our output does not want to read why. */
  async #send(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0 && !this.#broken; ) {
      try {
        const { bytesWritten } = await writeTo(this.#fd, rest, 0, rest.length, null);
        rest = rest.subarray(bytesWritten);
      } catch (error) {
        if (isFull(error)) await pause(fullPauseMs);
        else this.#broken = true;
      }
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
