import { Code, ConnectError } from "@connectrpc/connect";
import { type Span, SpanStatusCode } from "@opentelemetry/api";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { DomainError } from "#platform/errors.ts";
import { redactText } from "#platform/redact/redact-text.ts";

/** A PostgreSQL error has the state in `code`; its message may quote values. */
const sqlState = /^[\dA-Z]{5}$/;

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}

/**
 * The reason of an error as it stands on spans and in metrics: what the API calls it, its SQLSTATE, its gRPC status, or
 * its class.
 */
export function reasonOf(error: unknown): string {
  if (error instanceof DomainError) return error.reasonName;
  if (error instanceof ConnectError)
    return error.findDetails(ErrorInfoSchema)[0]?.reason || (Code[error.code] ?? "Unknown");
  if (!(error instanceof Error)) return "unknown";
  return codeOf(error) || error.constructor.name;
}

/**
 * Marks a span as failed. Its status says the reason. What is not a refusal of the API leaves an `exception` event
 * besides, whose texts went through the redaction of logs; that of a database error has no text, because it may quote values.
 */
export function failSpan(span: Span, error: unknown): void {
  const reason = reasonOf(error);
  span.setAttribute("error.type", reason);
  span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
  if (error instanceof DomainError) return;
  const cause = error instanceof ConnectError && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error) || sqlState.test(codeOf(cause))) return;
  span.addEvent("exception", {
    "exception.type": cause.constructor.name,
    "exception.message": redactText(cause.message),
    ...(cause.stack !== undefined && { "exception.stacktrace": redactText(cause.stack) }),
  });
}
