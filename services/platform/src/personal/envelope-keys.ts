import { createSecretKey, type KeyObject } from "node:crypto";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { DomainError, PlatformError } from "#platform/errors.ts";
import { newIvs, open, seal } from "#platform/sealing.ts";
import { associatedKey, type KeyProvider, type WrappedKey } from "./key-provider.ts";

/** A key that a key service made, or opened. */
export interface DataKey {
  /** What the master key is called that it was sealed with. */
  readonly master: string;
  /** 32 bytes. */
  readonly plain: Buffer;
  /** The same, as only the key service opens it. Without a space and without a dot. */
  readonly sealed: string;
}

/** A service that has a master key and gives it to nobody: it makes keys and opens them. */
export interface KeyService {
  /** What the names of its master keys begin with, and nobody else's. */
  readonly prefix: string;
  /** Of a master key, what it was called before it was rotated. */
  formerOf(master: string): readonly string[];
  /** @throws PlatformError UNAVAILABLE while it is away */
  make(): Promise<DataKey>;
  /** @throws PlatformError UNAVAILABLE while it is away; Error when it refuses */
  open(sealed: string, master: string): Promise<Buffer>;
}

/** How a key service is used. */
export interface EnvelopeOptions {
  readonly service: KeyService;
  /** For how long one key of it wraps the keys of persons: so long it is not asked again. */
  readonly reuseMs: number;
  /** Now, in milliseconds; the clock's unless given. */
  readonly now?: () => number;
}

/** So many of its keys are remembered: those of a month and a half, when one is made each hour. */
const remembered = 1_000;
/** After a failure it is not asked again for so long: who comes meanwhile is told at once. Milliseconds. */
const restMs = 1_000;

/** The key that wraps now. */
interface KeyOfTheHour {
  readonly key: KeyObject;
  readonly dataKey: DataKey;
  readonly until: number;
}

/** Why the last question failed, and until when it is not asked again. */
interface Failure {
  readonly error: unknown;
  readonly until: number;
}

/**
 * Wraps the keys of persons by a key of the hour, which a key service makes, and which lies sealed beside each of them: an order costs no
 * call to anybody. While the service is away, what was opened before is opened still, and the key of the hour wraps until its time is over.
 */
export class EnvelopeKeys implements KeyProvider {
  readonly #options: EnvelopeOptions;
  readonly #now: () => number;
  /** By how they lie sealed. */
  readonly #opened = new Map<string, Promise<KeyObject>>();
  #hour: KeyOfTheHour | undefined;
  #making: Promise<KeyOfTheHour> | undefined;
  #failure: Failure | undefined;

  constructor(options: EnvelopeOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get current(): string {
    return this.#hour?.dataKey.master ?? this.#options.service.prefix;
  }

  get former(): readonly string[] {
    return this.#hour ? this.#options.service.formerOf(this.#hour.dataKey.master) : [];
  }

  /** Whether a key was wrapped here. */
  has(master: string): boolean {
    return master.startsWith(this.#options.service.prefix);
  }

  async wrap(plain: Buffer, id: string): Promise<WrappedKey> {
    const { key, dataKey } = await this.#ofTheHour();
    const { master, sealed } = dataKey;
    const [iv] = newIvs(1) as [Buffer];
    const wrapped = seal(plain, { key, iv, associated: associatedKey(master, id) }).toString("base64");
    return { master, wrapped: `${wrapped}.${sealed}` };
  }

  async unwrap({ master, wrapped }: WrappedKey, id: string): Promise<Buffer> {
    const dot = wrapped.indexOf(".");
    if (dot < 0) throw new Error(`a key that ${master} wrapped has none of its keys beside it`);
    const key = await this.#open(wrapped.slice(dot + 1), master);
    return open(Buffer.from(wrapped.slice(0, dot), "base64"), key, associatedKey(master, id));
  }

  async #ofTheHour(): Promise<KeyOfTheHour> {
    if (this.#hour && this.#now() < this.#hour.until) return this.#hour;
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<KeyOfTheHour> {
    const dataKey = await this.#ask(() => this.#options.service.make());
    const key = createSecretKey(dataKey.plain);
    this.#remember(dataKey.sealed, Promise.resolve(key));
    this.#hour = { key, dataKey, until: this.#now() + this.#options.reuseMs };
    return this.#hour;
  }

  #open(sealed: string, master: string): Promise<KeyObject> {
    const known = this.#opened.get(sealed);
    if (known) return known;
    const opening = this.#ask(() => this.#options.service.open(sealed, master)).then(createSecretKey);
    this.#remember(sealed, opening);
    opening.catch(() => this.#opened.delete(sealed));
    return opening;
  }

  #remember(sealed: string, key: Promise<KeyObject>): void {
    const [oldest] = this.#opened.size < remembered ? [] : this.#opened.keys();
    if (oldest !== undefined) this.#opened.delete(oldest);
    this.#opened.set(sealed, key);
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (this.#failure && this.#now() < this.#failure.until) throw this.#failure.error;
    try {
      const answer = await question();
      this.#failure = undefined;
      return answer;
    } catch (error) {
      if (isAway(error)) this.#failure = { error, until: this.#now() + restMs };
      throw error;
    }
  }
}

/** A key service does not answer, or not now. What it refuses for good is another error. */
export function keyServiceAway(service: string, why: string, cause?: unknown): Error {
  const message = `personal data cannot be sealed or opened now: its key service ${why}`;
  const options = { cause, retryAfterMs: 2 * restMs };
  return new PlatformError(PlatformErrorReason.UNAVAILABLE, message, { dependency: service }, options);
}

/** Whether a question failed for now, and not for good. */
export function isAway(error: unknown): boolean {
  return error instanceof DomainError && error.reasonName === "UNAVAILABLE";
}

/** What one provider wraps now, and what others wrapped before it: so a file is left for a key service, and back. */
export class SuccessiveKeys implements KeyProvider {
  readonly #now: KeyProvider;
  readonly #before: readonly OwnedKeys[];

  /** @param before whose keys are unwrapped only, and wrapped anew by `now` */
  constructor(now: KeyProvider, before: readonly OwnedKeys[]) {
    this.#now = now;
    this.#before = before;
  }

  get current(): string {
    return this.#now.current;
  }

  get former(): readonly string[] {
    return [...this.#now.former, ...this.#before.flatMap(({ keys }) => [...keys.former, keys.current])];
  }

  wrap(key: Buffer, id: string): Promise<WrappedKey> {
    return this.#now.wrap(key, id);
  }

  unwrap(wrapped: WrappedKey, id: string): Promise<Buffer> {
    const { keys = this.#now } = this.#before.find(({ owns }) => owns(wrapped.master)) ?? {};
    return keys.unwrap(wrapped, id);
  }
}

/** Keys, and which of them are theirs. */
export interface OwnedKeys {
  readonly keys: KeyProvider;
  readonly owns: (master: string) => boolean;
}
