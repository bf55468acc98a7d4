import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { outsideText } from "#platform/redact/outside-text.ts";

/** The most that a caller is told of what it sent, in characters. */
const longestText = 300;

/** What is wrong with one field of a request. */
export interface FieldViolation {
  /** The way to the field, as the caller's face spells it. */
  readonly field: string;
  readonly description: string;
  readonly reason: string;
}

/** A refusal of a request because of its fields: INVALID_ARGUMENT with `google.rpc.BadRequest`. */
export function badRequest(message: string, fieldViolations: readonly FieldViolation[], cause?: unknown): ConnectError {
  const error = new ConnectError(message, Code.InvalidArgument, undefined, undefined, cause);
  error.details = [{ desc: BadRequestSchema, value: { fieldViolations: [...fieldViolations] } }];
  return error;
}

/** The refusal of a request that is no message of its type at all. */
export function unreadable({ typeName }: DescMessage, cause: unknown): ConnectError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `the request is no ${typeName}: ${toldText(why)}`;
  return new ConnectError(message, Code.InvalidArgument, undefined, undefined, cause);
}

/** How Connect begins to say that bytes are no message; it takes that for an internal error. */
const unreadBytes = "parse binary: ";

/** Makes Connect's error about bytes that are no message the refusal that it is; leaves every other one alone. */
export function refuseUnread(error: unknown, schema: DescMessage): void {
  if (!(error instanceof ConnectError) || error.code !== Code.Internal || !error.rawMessage.startsWith(unreadBytes))
    return;
  become(error, unreadable(schema, error.rawMessage.slice(unreadBytes.length)));
}

/** Makes an error that is on its way to the caller another one. */
export function become(error: ConnectError, { code, rawMessage, message, details }: ConnectError): void {
  Object.assign(error, { code, rawMessage, message, details });
}

/** A part of what a caller sent, as the caller may be told it: short, on one line, without card numbers. */
export function toldText(text: string): string {
  return outsideText(text, longestText);
}
