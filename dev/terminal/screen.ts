import { stripVTControlCharacters } from "node:util";
import { colour } from "../config.ts";
import { observers } from "../stack/layout.ts";

const reset = "\x1b[0m";
const dim = "\x1b[2m";
const green = "\x1b[32m";
const yellow = "\x1b[33m";
/** A colour for each component, in turn. */
const palette = ["\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[96m"];
const width = 13;

function paint(code: string, text: string): string {
  return colour ? `${code}${text}${reset}` : text;
}

/** Lines that say nothing to a person who runs a stack, by component; all of them are in its log. */
const noise: Readonly<Record<string, RegExp>> = {
  migrations: /^/,
  postgres: /^(?!.*\b(FATAL|PANIC):)|starting up|shutting down|recovery mode|administrator command/,
  temporal: /^/,
  ...Object.fromEntries(observers.map((observer) => [observer, /^/])),
};

/** Events of the audit log, which every effect leaves: what becomes of an order is told otherwise here. */
const audit = /^[\d:.]+ audit /;

function isNoise(component: string, line: string): boolean {
  return noise[component]?.test(line) === true || audit.test(stripVTControlCharacters(line));
}

/** Writes what a stack tells, for people: one line for each thing, with the component in front. */
export class Screen {
  readonly #verbose: boolean;
  readonly #colours = new Map<string, string>();

  constructor(verbose: boolean) {
    this.#verbose = verbose;
  }

  /** A component is ready. */
  ready(component: string, detail: string, ms: number): void {
    const time = paint(dim, `${(ms / 1000).toFixed(1)} s`);
    console.log(`  ${paint(green, "✓")} ${component.padEnd(width)} ${detail}  ${time}`);
  }

  /** Progress or trouble. */
  say(sentence: string): void {
    console.log(`  ${paint(yellow, "·")} ${sentence}`);
  }

  /** What a component wrote. */
  line(component: string, line: string): void {
    if (line.trim() === "" || (!this.#verbose && isNoise(component, line))) return;
    const text = colour ? line : stripVTControlCharacters(line);
    console.log(`${paint(this.#colourOf(component), `${component.padStart(width + 3)} │`)} ${text}`);
  }

  /** Plain text. */
  print(text = ""): void {
    console.log(text);
  }

  /** A heading. */
  title(text: string): void {
    console.log(paint("\x1b[1m", text));
  }

  #colourOf(component: string): string {
    const known = this.#colours.get(component);
    if (known) return known;
    const next = palette[this.#colours.size % palette.length] ?? dim;
    this.#colours.set(component, next);
    return next;
  }
}
