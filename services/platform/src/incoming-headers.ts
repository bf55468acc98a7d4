import { isUtf8 } from "node:buffer";

/** The headers of a call as Node's servers give them: each byte is a character. */
type IncomingHeaders = NodeJS.Dict<string | string[]>;

/** The longest time that a timer of Node can wait, in milliseconds: 24 days. */
export const longestTimerMs = 2 ** 31 - 1;

const connectTimeout = "connect-timeout-ms";
const grpcTimeout = "grpc-timeout";

/** gRPC and gRPC-Web say a timeout in one of these units, in milliseconds. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** The time that a caller gives in `grpc-timeout`, in milliseconds; undefined when the header says none that is legal. */
export function grpcTimeoutMs(header: string | null | undefined): number | undefined {
  const [, digits, unit = ""] = header?.match(/^(\d{1,8})([HMSmun])$/) ?? [];
  return digits ? Number(digits) * (units[unit] ?? 1) : undefined;
}

/** The time that a caller gives in `connect-timeout-ms`, in milliseconds; undefined when the header says none that is legal. */
export function connectTimeoutMs(header: string | null | undefined): number | undefined {
  return header && /^\d{1,10}$/.test(header) ? Number(header) : undefined;
}

/** What the name and the text of a header of gRPC consist of; it may go on to callees. */
const carriableName = /^:?[\w.-]+$/;
const carriable = /^[ -~]*$/;

/** As in W3C Baggage: percent-encoded UTF-8, from callers who sent the bytes as they are. */
function encoded(value: string): string {
  const bytes = Buffer.from(value, "latin1");
  const text = isUtf8(bytes) ? bytes.toString("utf8") : value;
  return text.replace(/[^ -~]+/g, encodeURIComponent);
}

/**
 * Makes the headers of a call what both faces can work with, in place. Libraries below us would end the call because of them,
 * or report an error of ours: a legal timeout that is longer than any timer is capped, baggage in another alphabet is
 * encoded, and what cannot be carried on is left out.
 */
export function makeUsable(headers: IncomingHeaders): void {
  for (const name in headers) {
    const value = String(headers[name]);
    if (carriable.test(value) && carriableName.test(name)) continue;
    if (name === "baggage") headers[name] = encoded(value);
    else if (!name.startsWith(":")) delete headers[name];
  }
  const connect = headers[connectTimeout];
  if (typeof connect === "string" && (connectTimeoutMs(connect) ?? 0) > longestTimerMs) {
    headers[connectTimeout] = String(longestTimerMs);
  }
  const grpc = headers[grpcTimeout];
  if (typeof grpc === "string" && (grpcTimeoutMs(grpc) ?? 0) > longestTimerMs) {
    headers[grpcTimeout] = `${Math.floor(longestTimerMs / 1000)}S`;
  }
}

/** Without a timeout that grpc-js cannot read: it would call it an internal error. */
export function leaveOutBrokenTimeout(headers: IncomingHeaders): void {
  const value = headers[grpcTimeout];
  if (value !== undefined && grpcTimeoutMs(String(value)) === undefined) delete headers[grpcTimeout];
}
