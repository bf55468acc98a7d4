import { chmodSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Member } from "./layout.ts";

/** Clocks of a stack's programs that can be moved while they run; those that measure durations go on as they were. */
export class Clocks {
  readonly #folder: string;
  readonly #library: string;
  /** How far each is from the right time, in seconds. */
  readonly #offsets = new Map<Member, number>();

  /** @param library libfaketime, which is copied to where every user may read it */
  constructor(dataDirectory: string, library: string) {
    this.#folder = join(dataDirectory, "clocks");
    mkdirSync(this.#folder, { recursive: true });
    chmodSync(this.#folder, 0o755);
    this.#library = join(this.#folder, "libfaketime.so");
    copyFileSync(library, this.#library);
    chmodSync(this.#library, 0o755);
  }

  /** Moves the clock of a program so many seconds from the right time; within a second it shows. */
  move(member: Member, seconds: number): void {
    this.#offsets.set(member, seconds);
    const file = this.#file(member);
    // Read while it is written: so it appears whole.
    writeFileSync(`${file}.new`, `${seconds < 0 ? "-" : "+"}${Math.abs(Math.round(seconds))}\n`);
    renameSync(`${file}.new`, file);
  }

  /** Moves all of them forward, from where they are. */
  advance(seconds: number): void {
    for (const [member, offset] of [...this.#offsets]) this.move(member, offset + seconds);
  }

  /** What a program finds in its environment; see libfaketime's README. */
  environment(member: Member): Record<string, string> {
    this.move(member, 0);
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file(member),
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  #file(member: Member): string {
    return join(this.#folder, member);
  }
}
