// biome-ignore lint/plugin/files: the file of settings
import { readFileSync } from "node:fs";
import type { PlatformConfig } from "#platform/config.ts";
import type { Logger } from "#platform/log/logger.ts";
import { Secret } from "#platform/secret.ts";

/** What is done when a setting that may change has changed. All others count from the next start. */
export type Reloads = { readonly [Name in keyof PlatformConfig]?: (value: PlatformConfig[Name]) => void };

/** The same for settings of a service's own, by their names. */
export type OwnReloads = Readonly<Record<string, ((value: never) => void) | undefined>>;

/** What a file of settings is watched with. */
export interface ConfigWatch {
  readonly file: string;
  readonly everyMs: number;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** What the process began with. */
  readonly config: object;
  /** Reads everything anew. @throws ConfigError */
  readonly read: () => object;
  readonly reloads: Reloads & OwnReloads;
}

const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);

/** Compares settings, and has those changed that may be. */
class WatchedConfig {
  readonly #watch: ConfigWatch;
  #known: Readonly<Record<string, unknown>>;
  #text: string | undefined;
  #trouble = "";

  constructor(watch: ConfigWatch) {
    this.#watch = watch;
    this.#known = { ...watch.config };
  }

  look(): void {
    const { file, read, logger } = this.#watch;
    try {
      const text = readFileSync(file, "utf8");
      if (text === this.#text) return;
      this.#text = text;
      this.#take({ ...read() });
      this.#trouble = "";
    } catch (error) {
      const trouble = (error as Error).message;
      if (trouble !== this.#trouble) logger.warn(`the settings stay as they were: ${trouble}`);
      this.#trouble = trouble;
    }
  }

  #take(next: Readonly<Record<string, unknown>>): void {
    const { logger } = this.#watch;
    const reloads = this.#watch.reloads as Readonly<Record<string, ((value: unknown) => void) | undefined>>;
    // Secrets have files of their own.
    const isChanged = ([name, value]: [string, unknown]) =>
      !(value instanceof Secret || same(value, this.#known[name]));
    const changed = Object.entries(next).filter(isChanged);
    // Said before it is done: the log may say less afterwards.
    for (const [name] of changed) {
      if (reloads[name]) logger.info(`${name} was read anew from the file of settings`);
      else logger.warn(`${name} is another one in the file of settings: it counts from the next start`);
    }
    for (const [name, value] of changed) reloads[name]?.(value);
    this.#known = next;
  }
}

/**
 * Reads a file of settings again and again, and says what came of a change, or once why there was none. By its contents: Kubernetes swaps
 * the files of a volume by a link that no watch of a file sees.
 *
 * @returns what ends it
 */
export function watchConfigFile(watch: ConfigWatch): () => void {
  const watched = new WatchedConfig(watch);
  const timer = setInterval(() => watched.look(), watch.everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
