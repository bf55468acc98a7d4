// biome-ignore lint/plugin/files: files that the settings name
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { z } from "zod";
import { describeIssue } from "./describe-issue.ts";

/** Where a secret comes from besides the environment, and what it must be. */
interface Source {
  readonly name: string;
  readonly file: string;
}

/** What is said where a secret would be shown. */
const hidden = "[secret]";

/**
 * A secret setting. When it comes from a file, its text changes while the process runs: whoever needs it asks for the text anew each
 * time, or has himself told. It shows itself nowhere.
 */
export class Secret {
  #text: string;
  #source: Source | undefined;
  readonly #rule: z.ZodType<string>;
  readonly #listeners: ((text: string) => void)[] = [];

  constructor(text: string, rule: z.ZodType<string>) {
    this.#text = text;
    this.#rule = rule;
  }

  /** As it is now. */
  get text(): string {
    return this.#text;
  }

  /** The file that it is read from; undefined when it comes from the environment. */
  get file(): string | undefined {
    return this.#source?.file;
  }

  /** Whether it can become another one. */
  get changes(): boolean {
    return this.#source !== undefined;
  }

  /** Has it read from a file from now on. */
  follow(source: Source): void {
    this.#source = source;
  }

  /** Tells of each later change. */
  onChange(listener: (text: string) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Reads the file again and says whether the secret is another one.
   *
   * @throws Error without the secret when the file cannot be read or holds what the setting may not be; then it stays as it was
   */
  look(): boolean {
    if (!this.#source) return false;
    const { name, file } = this.#source;
    const { data: text, error } = this.#rule.safeParse(readSecretFile(file), { error: describeIssue });
    if (error) throw new Error(`the file ${file} (${name}_FILE) ${error.issues[0]?.message}`);
    if (text === this.#text) return false;
    this.#text = text;
    for (const listener of this.#listeners) listener(text);
    return true;
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [inspect.custom](): string {
    return hidden;
  }
}

/** A secret that is put together from others, each of which may change. */
export class JoinedSecret extends Secret {
  readonly #parts: readonly Secret[];
  readonly #join: () => string;

  /** @param join what it is, by what its parts are now */
  constructor(parts: readonly Secret[], join: () => string) {
    super("", z.string());
    this.#parts = parts;
    this.#join = join;
  }

  override get text(): string {
    return this.#join();
  }

  override get changes(): boolean {
    return this.#parts.some((part) => part.changes);
  }

  override onChange(listener: (text: string) => void): void {
    for (const part of this.#parts) part.onChange(() => listener(this.text));
  }

  override look(): boolean {
    const changed = this.#parts.map((part) => part.look());
    return changed.includes(true);
  }
}

const secretRules = new WeakSet<z.ZodType>();

/** The rule of a setting that is secret: `NAME` holds it, or `NAME_FILE` says which file does. */
export function secret(rule: z.ZodType<string>) {
  const setting = rule.transform((text) => new Secret(text, rule));
  secretRules.add(setting);
  return setting;
}

/** Whether a setting is secret, optional or not. */
export function isSecret(rule: unknown): boolean {
  if (rule instanceof z.ZodOptional) return isSecret(rule.unwrap());
  return rule instanceof z.ZodType && secretRules.has(rule);
}

/** What a file holds, without the one end of a line that editors put there. @throws Error that names the file and why it cannot be used */
export function readSecretFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new Error(`the file ${file} cannot be read (${code})`, { cause });
  }
  const secret = text.replace(/\r?\n$/, "");
  if (secret === "") throw new Error(`the file ${file} is empty`);
  return secret;
}
