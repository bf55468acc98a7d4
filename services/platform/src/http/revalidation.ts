import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createAsyncIterable, readAllBytes, type UniversalServerResponse } from "@connectrpc/connect/protocol";

/** For who asked alone, and to be asked about before each use: what an order is may be another thing a moment later. */
const keptBy = "private, no-cache";

/** Whether a client has the answer already: `If-None-Match` compares weakly, since proxies weaken the tags of what they compress. */
export function isKept(given: string | undefined, tag: string): boolean {
  if (given?.trim() === "*") return true;
  return given?.match(/"[^"]*"/g)?.includes(tag) ?? false;
}

/**
 * Lets whoever reads by GET keep the answer, and learn with 304 that it is still the right one. The tag is that of the bytes as
 * they are sent, so that each encoding has its own. An error is never kept.
 */
export async function revalidated(
  request: IncomingMessage,
  response: ServerResponse,
  answer: UniversalServerResponse,
): Promise<UniversalServerResponse> {
  const header = new Headers(answer.header);
  header.set("vary", [response.getHeader("vary") ?? [], "accept-encoding"].flat().join(", "));
  header.set("cache-control", answer.status === 200 ? keptBy : "no-store");
  if (answer.status !== 200) return { ...answer, header };
  const body = await readAllBytes(answer.body ?? createAsyncIterable([]), Number.MAX_SAFE_INTEGER);
  const tag = `"${createHash("sha256").update(body).digest("base64url")}"`;
  header.set("etag", tag);
  if (!isKept(request.headers["if-none-match"], tag)) return { ...answer, header, body: createAsyncIterable([body]) };
  for (const name of ["content-type", "content-length", "content-encoding"]) header.delete(name);
  return { status: 304, header };
}
