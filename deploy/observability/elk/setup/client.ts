import type { Server } from "./config.ts";

/** A server refused something; the message says what and why. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** One call of Elasticsearch or Kibana; the answer is JSON. */
export interface Call {
  readonly method: "GET" | "PUT" | "POST";
  readonly path: string;
  readonly body?: string | FormData;
}

/** @throws RefusedError when the server answers with anything but success */
export async function call(server: Server, { method, path, body }: Call): Promise<unknown> {
  const headers = new Headers({ "kbn-xsrf": "ordermesh" });
  if (typeof body === "string") headers.set("content-type", "application/json");
  if (server.username) {
    const basic = Buffer.from(`${server.username}:${server.password ?? ""}`).toString("base64");
    headers.set("authorization", `Basic ${basic}`);
  }
  const request = { method, headers, ...(body !== undefined && { body }), signal: AbortSignal.timeout(60_000) };
  const answer = await fetch(new URL(path, server.url), request);
  const text = await answer.text();
  if (!answer.ok) throw new RefusedError(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`, answer.status);
  return text === "" ? undefined : JSON.parse(text);
}
