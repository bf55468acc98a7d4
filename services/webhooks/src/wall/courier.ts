import { type ClientRequest, type IncomingMessage, type RequestOptions, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { AddressRefusedError, guardedLookup, type NameResolver, NameUnknownError } from "./look-up.ts";
import type { Walls } from "./walls.ts";

/** What is sent. */
export interface Letter {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What came of it: nobody is shown more of what an endpoint says than its status. */
export type Reply =
  | {
      readonly status: number;
      /** Up to {@link longestAnswer} bytes of it, to be compared and never shown. */
      readonly answer: string;
      readonly retryAfter: string | undefined;
    }
  | { readonly failure: "timeout" | "connection" | "name" | "address" | "tls" | "aborted" };

/** What a courier works with. */
export interface CourierOptions {
  readonly walls: Walls;
  readonly resolver: NameResolver;
  /** For one request, with looking up its name and reading its answer, in milliseconds. */
  readonly timeoutMs: number;
  /** Authorities of certificates besides those that Node knows, in PEM; none by default. */
  readonly ca?: string;
}

/** What of an answer is read; the connection is closed on what is longer. In bytes. */
export const longestAnswer = 4_096;

/** Sends requests to addresses that others have chosen. It follows nobody to another address, keeps no connection, and uses no proxy. */
export class Courier {
  readonly #options: CourierOptions;
  readonly #lookup: RequestOptions["lookup"];

  constructor(options: CourierOptions) {
    this.#options = options;
    this.#lookup = guardedLookup(options.resolver, options.walls);
  }

  /** Sends one request. Never throws. */
  async send(letter: Letter, signal?: AbortSignal): Promise<Reply> {
    const { walls, timeoutMs } = this.#options;
    // Where an address stands instead of a name, no name is looked up.
    if (walls.brokenRule(letter.url) !== undefined) return { failure: "address" };
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#exchange(letter, signal ? AbortSignal.any([timeout, signal]) : timeout);
    } catch (error) {
      if (signal?.aborted) return { failure: "aborted" };
      return { failure: timeout.aborted ? "timeout" : failureOf(error) };
    }
  }

  #exchange(letter: Letter, signal: AbortSignal): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const sent = this.#request(letter, signal);
    sent.on("error", reject);
    sent.on("response", (response) => {
      readAnswer(response).then((answer) => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, answer, retryAfter: headers["retry-after"] });
        sent.destroy();
      }, reject);
    });
    sent.end(letter.body);
    return promise;
  }

  #request({ url, headers, body }: Letter, signal: AbortSignal): ClientRequest {
    const target = new URL(url);
    const length = String(Buffer.byteLength(body));
    const options: RequestOptions = {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", "content-length": length, connection: "close" },
      agent: false,
      signal,
      lookup: this.#lookup,
    };
    if (target.protocol === "http:") return requestPlain(target, options);
    const { ca } = this.#options;
    return requestTls(target, ca === undefined ? options : { ...options, ca });
  }
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= longestAnswer) break;
  }
  return Buffer.concat(chunks).subarray(0, longestAnswer).toString();
}

/** What a connection fails with, in as few words as tell whoever has the endpoint where to look. */
function failureOf(error: unknown): "connection" | "name" | "address" | "tls" {
  if (error instanceof AddressRefusedError) return "address";
  if (error instanceof NameUnknownError) return "name";
  const { code = "" } = error as { code?: string };
  return /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)|^EPROTO$/.test(code) ? "tls" : "connection";
}
