import { hash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type ClientContext, Redis, type Result } from "ioredis";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";
import type { Entry, Ledger } from "./ledger.ts";

/** Where the ledger is, and whose. */
export interface ValkeyLedgerOptions {
  /** `redis://host:port`, or `rediss://` with TLS; Valkey speaks the same. */
  readonly url: Secret;
  readonly password: Secret | undefined;
  /** The service, whose replicas share it. */
  readonly service: string;
  readonly logger: Pick<Logger, "info" | "warn">;
}

/** How long an answer may take, in milliseconds. No call waits for it. */
const answerMs = 1_000;
/** How often is looked whether it is there again, in milliseconds. */
const lookEveryMs = 500;
/** How many entries go together, and how many may wait for their turn. */
const mostTogether = 256;
const mostWaiting = 10_000;

/**
 * Adds what calls cost to what is owed, and returns how much that is now. It is kept as the time by the server's clock at which nothing
 * is owed any more, and forgotten then.
 */
const chargeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local whole = math.max(now, tonumber(redis.call('GET', KEYS[1])) or 0)
whole = math.min(whole + ARGV[1], now + ARGV[2])
redis.call('SET', KEYS[1], string.format('%.3f', whole), 'PX', math.ceil(whole - now) + 1)
return string.format('%.3f', whole - now)
`;

declare module "ioredis" {
  interface RedisCommander<Context extends ClientContext> {
    charge(key: string, costMs: string, mostMs: string): Result<string, Context>;
  }
}

function connect({ url, password }: ValkeyLedgerOptions): Redis {
  const redis = new Redis(url.text, {
    ...(password && { password: password.text }),
    scripts: { charge: { lua: chargeScript, numberOfKeys: 1 } },
    // What cannot be sent at once is lost: a call that comes later would be counted with those of then.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    retryStrategy: () => lookEveryMs,
  });
  // Whether it answers is looked at by ourselves, and said once.
  redis.on("error", () => undefined);
  password?.onChange((text) => {
    redis.options.password = text;
  });
  return redis;
}

/**
 * What callers have used, in Valkey or Redis. It slows nothing: entries are sent in the background, all that wait together, and while
 * it is away or does not answer in time it says so, and takes none.
 */
export class ValkeyLedger implements Ledger, AsyncDisposable {
  readonly #redis: Redis;
  readonly #options: ValkeyLedgerOptions;
  readonly #watch: NodeJS.Timeout;
  #waiting: Entry[] = [];
  #sending = false;
  #looking = false;
  /** Undefined until something is known. */
  #isThere: boolean | undefined;

  constructor(options: ValkeyLedgerOptions) {
    this.#options = options;
    this.#redis = connect(options);
    this.#redis.once("ready", () => void this.#look());
    this.#watch = setInterval(() => void this.#look(), lookEveryMs);
    this.#watch.unref();
  }

  get isThere(): boolean {
    return this.#isThere === true;
  }

  write(entry: Entry): void {
    if (!this.isThere || this.#waiting.length >= mostWaiting) {
      entry.onLost();
      return;
    }
    this.#waiting.push(entry);
    if (this.#sending) return;
    this.#sending = true;
    setImmediate(() => void this.#sendAll());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watch);
    this.#redis.disconnect();
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const entries = this.#waiting.splice(0, mostTogether);
      try {
        await this.#send(entries);
      } catch (error) {
        for (const entry of [...entries, ...this.#waiting.splice(0)]) entry.onLost();
        this.#isAway(error);
      }
    }
    this.#sending = false;
  }

  async #send(entries: readonly Entry[]): Promise<void> {
    const batch = this.#redis.pipeline();
    for (const { key, costMs, mostMs } of entries) {
      batch.charge(this.#nameOf(key), costMs.toFixed(3), mostMs.toFixed(3));
    }
    const answers = (await inTime(batch.exec())) ?? [];
    const failure = answers.find(([error]) => error)?.[0];
    if (failure || answers.length < entries.length) throw failure ?? new Error("some entries were not answered");
    for (const [index, { onUsed }] of entries.entries()) onUsed(Number(answers[index]?.[1]));
  }

  /** Whom it is about need not be readable there. */
  #nameOf(key: string): string {
    return `ordermesh:limit:${this.#options.service}:${hash("sha256", key, "base64url").slice(0, 22)}`;
  }

  async #look(): Promise<void> {
    if (this.#isThere || this.#looking) return;
    this.#looking = true;
    try {
      await inTime(this.#redis.ping());
      if (this.#isThere === false) this.#options.logger.info("limits are shared between replicas again");
      this.#isThere = true;
    } catch (error) {
      this.#isAway(error);
    } finally {
      this.#looking = false;
    }
  }

  #isAway(error: unknown): void {
    if (this.#isThere !== false) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn(`limits are kept by each replica alone: their store does not answer (${why})`);
    }
    const wasThere = this.#isThere === true;
    this.#isThere = false;
    // What it still owes on this connection would be taken for the answers to what comes next.
    if (wasThere) this.#redis.disconnect(true);
  }
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = pause(answerMs, undefined, { signal: late.signal }).then(() => {
    throw new Error(`no answer within ${answerMs} ms`);
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    late.abort();
    timeout.catch(() => undefined);
    answer.catch(() => undefined);
  }
}
