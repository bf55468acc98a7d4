import { errorMessage } from "./easypost-messages.ts";

/**
 * What EasyPost said to a request. `refused`: it had no effect, and never will have; `unsent`: it had no effect; `barred`: nor will it have one
 * until somebody mends something; `lost`: it may have had one; `missing`: there is no such object.
 */
export type Answer<T> =
  | { readonly said: "done"; readonly value: T }
  | { readonly said: "refused"; readonly code: string }
  | { readonly said: "unsent" | "barred" | "lost" | "missing"; readonly error: Error };

/** The answers that are no success. */
export type Failure = Exclude<Answer<never>, { readonly said: "done" }>;

/** What keeps a connection from being made at all. */
const unreachable: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

/** Errors with a status of refusals, which say that the label may be there, or will be. Source: what shops met that sell by EasyPost, 2026-12. */
const open: ReadonlySet<string> = new Set([
  "SHIPMENT.POSTAGE.EXISTS",
  "SHIPMENT.PURCHASE.IN_PROGRESS",
  "SHIPMENT.POSTAGE.TIMED_OUT",
  "SHIPMENT.POSTAGE.NO_RESPONSE",
]);

/** Who may not ask has not been heard. 402: the account has no money. */
const barred: ReadonlySet<number> = new Set([401, 402, 403]);

/** What an answer that is no success says. @param body as far as it could be read */
export function failureOf(status: number, body: unknown): Failure {
  const code = errorMessage.safeParse(body).data?.error.code ?? "";
  const error = new Error(`EasyPost answers with ${status}${code && ` (${code})`}`);
  if (status === 429) return { said: "unsent", error };
  if (barred.has(status)) return { said: "barred", error };
  if (status === 404) return { said: "missing", error };
  const isRefusal = (status === 400 || status === 422) && !open.has(code);
  return isRefusal ? { said: "refused", code: code || "INVALID_REQUEST" } : { said: "lost", error };
}

/** What a request says that was not answered. */
export function failureOfError(error: unknown): Failure {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = reason instanceof Error && "code" in reason && typeof reason.code === "string" ? reason.code : "";
  const said = unreachable.has(code) ? "unsent" : "lost";
  return { said, error: new Error(`EasyPost does not answer${code && ` (${code})`}`, { cause: error }) };
}
