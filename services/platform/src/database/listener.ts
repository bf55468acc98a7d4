import { addAbortListener } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Secret } from "#platform/secret.ts";
import { requireWritable } from "./writable.ts";

const firstDelayMs = 100;
const maxDelayMs = 5_000;
const heartbeatMs = 15_000;

/** What a listener needs to know. */
export interface ListenerOptions {
  /** Where to connect; the listener has a connection of its own. */
  readonly url: Pick<Secret, "text" | "look">;
  readonly channel: string;
  /** Gets every payload, and `""` after each reconnect: something may have been missed meanwhile. */
  readonly onPayload: (payload: string) => void;
  /** Told about every connection that was lost or refused. */
  readonly onFailure: (error: Error) => void;
}

/** A LISTEN on a dedicated connection that comes back by itself. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves once the server listens; throws when the first attempt fails. */
  async start(): Promise<void> {
    const client = await this.#connect();
    this.#running = this.#keep(client);
  }

  /** Ends the connection; no payload is delivered afterwards. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #keep(first: pg.Client): Promise<void> {
    let client: pg.Client | undefined = first;
    let delay = firstDelayMs;
    while (!this.#stopped.signal.aborted) {
      if (client) {
        await this.#untilLost(client);
        client = undefined;
        delay = firstDelayMs;
        continue;
      }
      await sleep(delay, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      if (this.#stopped.signal.aborted) return;
      delay = Math.min(delay * 2, maxDelayMs);
      client = await this.#reconnect();
    }
  }

  async #reconnect(): Promise<pg.Client | undefined> {
    try {
      const client = await this.#connect();
      this.#options.onPayload("");
      return client;
    } catch (error) {
      this.#options.onFailure(toError(error));
      this.#lookAgain();
      return undefined;
    }
  }

  /** The password may be another one by now. What is wrong with its file is told by who reads it again and again. */
  #lookAgain(): void {
    try {
      this.#options.url.look();
    } catch {
      // As if it had not changed yet.
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#options.url.text,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
    });
    client.on("notification", (message) => this.#options.onPayload(message.payload ?? ""));
    client.on("error", (error) => this.#options.onFailure(error));
    try {
      await client.connect();
      await client.query(`listen ${pg.escapeIdentifier(this.#options.channel)}`);
      return client;
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  /** Waits for the end of the connection, its own stop, or a heartbeat that is not answered. */
  async #untilLost(client: pg.Client): Promise<void> {
    const lost = Promise.withResolvers<void>();
    const end = () => lost.resolve();
    client.once("end", end);
    client.once("error", end);
    using _stopping = addAbortListener(this.#stopped.signal, end);
    const heartbeat = setInterval(() => {
      requireWritable(client).catch((error: unknown) => {
        this.#options.onFailure(toError(error));
        end();
      });
    }, heartbeatMs);
    heartbeat.unref();
    await lost.promise;
    clearInterval(heartbeat);
    client.removeAllListeners("notification");
    await client.end().catch((error: unknown) => this.#options.onFailure(toError(error)));
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
