import type { DescEnum, DescMessage } from "@bufbuild/protobuf";
import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type Failure, FailureSchema, FieldViolationSchema } from "#gen/shop/type/v1/failure_pb.js";
import { PlatformErrorReason, PlatformErrorReasonSchema } from "#gen/shop/type/v1/platform_error_reason_pb.js";

/** What a {@link DomainError} may carry besides its reason and message. */
export interface DomainErrorOptions {
  /** What led to the refusal; logged, never sent. */
  cause?: unknown;
  /** When a repetition may succeed, in milliseconds from now. Becomes `google.rpc.RetryInfo`. */
  retryAfterMs?: number;
}

/**
 * A refusal that is part of the API: it reaches the caller as a status code with `google.rpc.ErrorInfo`.
 * Made by the classes that {@link defineErrors} returns, never directly.
 */
export abstract class DomainError extends Error {
  /** The number in the service's enum of reasons. */
  abstract readonly reason: number;
  /** The reason without the prefix of its enum, for example `OUT_OF_STOCK`. */
  abstract readonly reasonName: string;
  /** Who refuses, for example `inventory.shop`. */
  abstract readonly domain: string;
  /** The status code of the refusal. */
  abstract readonly code: Code;
  /** The facts that the reason's comment in the proto lists. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When a repetition may succeed, in milliseconds; undefined when a repetition alone will not help. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, metadata: Record<string, string>, options: DomainErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.metadata = metadata;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The class of one service's refusals; see {@link defineErrors}. */
export type DomainErrorClass<R extends number> = new (
  reason: R,
  message: string,
  metadata?: Record<string, string>,
  options?: DomainErrorOptions,
) => DomainError & { readonly reason: R };

/**
 * Makes the error class of one enum of reasons. A reason without a code does not compile.
 *
 * @param definition.domain  who refuses, for example `inventory.shop`
 * @param definition.reasons the enum's descriptor; its prefix is taken off the names that are sent
 * @param definition.codes   the status code of every reason
 */
export function defineErrors<R extends number>(definition: {
  domain: string;
  reasons: DescEnum;
  codes: Readonly<Record<R, Code>>;
}): DomainErrorClass<R> {
  const className = definition.reasons.name.replace(/Reason$/, "");
  const made = class extends DomainError {
    override readonly name = className;
    readonly reason: R;
    readonly reasonName: string;
    readonly domain = definition.domain;
    readonly code: Code;

    constructor(reason: R, message: string, metadata: Record<string, string> = {}, options: DomainErrorOptions = {}) {
      super(message, metadata, options);
      this.reason = reason;
      this.reasonName = definition.reasons.value[reason]?.localName ?? String(reason);
      this.code = definition.codes[reason];
    }
  };
  // Logs and stacks name an error by its class.
  Object.defineProperty(made, "name", { value: className });
  return made;
}

/** Refusals that every service may give. */
export const PlatformError = defineErrors<PlatformErrorReason>({
  domain: "platform.shop",
  reasons: PlatformErrorReasonSchema,
  codes: {
    [PlatformErrorReason.UNSPECIFIED]: Code.Unknown,
    [PlatformErrorReason.REQUEST_ID_REUSED]: Code.AlreadyExists,
    [PlatformErrorReason.INVALID_PAGE_TOKEN]: Code.InvalidArgument,
    [PlatformErrorReason.OVERLOADED]: Code.ResourceExhausted,
    [PlatformErrorReason.CONFLICT]: Code.Aborted,
    [PlatformErrorReason.UNAVAILABLE]: Code.Unavailable,
    [PlatformErrorReason.INVALID_ID]: Code.InvalidArgument,
    [PlatformErrorReason.ANSWER_TOO_LARGE]: Code.ResourceExhausted,
    [PlatformErrorReason.CREDENTIAL_MISSING]: Code.Unauthenticated,
    [PlatformErrorReason.CREDENTIAL_REFUSED]: Code.Unauthenticated,
    [PlatformErrorReason.NOT_PERMITTED]: Code.PermissionDenied,
    [PlatformErrorReason.RATE_LIMITED]: Code.ResourceExhausted,
  },
});

/** Refusals that a repetition of the same call will meet again, because the caller's request is the reason. */
const callerFaults: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unimplemented,
]);

/** Whether a code blames the request, so that repeating the same call is of no use. */
export function isCallerFault(code: Code): boolean {
  return callerFaults.has(code);
}

/** How long a caller should wait after it lost against another writer, in milliseconds. */
const conflictRetryMs = 20;
/** How long a caller should wait for a database that is away, in milliseconds: a failover takes seconds. */
const unavailableRetryMs = 1000;

/** Serialization failure, deadlock, lock not available: PostgreSQL's appendix A. */
const conflictStates = new Set(["40001", "40P01", "55P03"]);
/** What Node and pg report when a connection cannot be had or breaks. */
const connectionCodes = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"]);
/** pg has no code for these. */
const connectionMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client (has encountered|was closed))/;

/** The chain of an error and its causes, outermost first. Bounded, because a cause may point back. */
function chainOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let next = error; next instanceof Error && chain.length < 8; next = next.cause) chain.push(next);
  return chain;
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}

function isConflict(error: Error): boolean {
  return conflictStates.has(codeOf(error)) || error.name === "OptimisticLockError";
}

/**
 * Whether an SQLSTATE says of a whole server that it does not do its work now: class 08 is "connection exception", class 53 "insufficient
 * resources" (connections, memory, disk), 57P0x are its shutdowns and starts, and 25006 is what writes are told that come to a
 * server that takes none, such as one that was the primary before a failover.
 */
export function isServerAway(sqlState: string): boolean {
  return /^(08...|53...|57P0.|25006)$/.test(sqlState);
}

function isAway(error: Error): boolean {
  const code = codeOf(error);
  // 25P03 ends a session that did nothing in its transaction, 57014 a statement that took too long and so had no effect.
  if (isServerAway(code) || code === "25P03" || code === "57014") return true;
  return connectionCodes.has(code) || connectionMessages.test(error.message);
}

/** Tells failures of the database that a repetition may heal apart from faults in the code. */
function infrastructureError(error: unknown): DomainError | undefined {
  const chain = chainOf(error);
  if (chain.some(isConflict)) {
    const options = { cause: error, retryAfterMs: conflictRetryMs };
    return new PlatformError(
      PlatformErrorReason.CONFLICT,
      "another writer was faster; nothing was changed",
      {},
      options,
    );
  }
  if (chain.some(isAway)) {
    const options = { cause: error, retryAfterMs: unavailableRetryMs };
    const metadata = { dependency: "database" };
    return new PlatformError(PlatformErrorReason.UNAVAILABLE, "the database is away", metadata, options);
  }
  return undefined;
}

function fromDomainError(error: DomainError): ConnectError {
  const { reasonName: reason, domain, metadata, retryAfterMs } = error;
  const details: ConnectError["details"] = [{ desc: ErrorInfoSchema, value: { reason, domain, metadata } }];
  if (retryAfterMs !== undefined) details.push(retryInfo(retryAfterMs));
  const result = new ConnectError(error.message, error.code, undefined, undefined, error);
  result.details = details;
  return result;
}

/** The detail that tells a caller when to try again. */
export function retryInfo(retryAfterMs: number): ConnectError["details"][number] {
  const seconds = Math.floor(retryAfterMs / 1000);
  const nanos = Math.round((retryAfterMs - seconds * 1000) * 1e6);
  return { desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(seconds), nanos } } };
}

/** The details that errors of ours have. */
const detailTypes: readonly DescMessage[] = [ErrorInfoSchema, BadRequestSchema, RetryInfoSchema];

/** What another service answered, with details that are more than bytes: JSON shows callers what they say. */
function readable(error: ConnectError): ConnectError {
  error.details = error.details.map((detail) => {
    if ("desc" in detail) return detail;
    const desc = detailTypes.find(({ typeName }) => typeName === detail.type);
    return desc ? { desc, value: fromBinary(desc, detail.value) } : detail;
  });
  return error;
}

/** NUL as a byte, and as an escape in JSON: the one character that PostgreSQL cannot store. */
const unstorableStates = new Set(["22021", "22P05"]);

function fromUnstorableText(error: unknown): ConnectError | undefined {
  if (!chainOf(error).some((cause) => unstorableStates.has(codeOf(cause)))) return undefined;
  const message = "a text contains a character that cannot be stored, such as NUL";
  return new ConnectError(message, Code.InvalidArgument, undefined, undefined, error);
}

function fromAbort(error: unknown): ConnectError | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "TimeoutError") {
    return new ConnectError("the deadline passed", Code.DeadlineExceeded, undefined, undefined, error);
  }
  if (error.name === "AbortError") return new ConnectError("cancelled", Code.Canceled, undefined, undefined, error);
  return undefined;
}

/**
 * What a caller is told about an error. Refusals keep code, message and details; conflicts and lost connections of the
 * database become ABORTED and UNAVAILABLE with `RetryInfo`; everything else is `internal error`, and what it really was
 * stays in `cause` for the log.
 */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof DomainError) return fromDomainError(error);
  if (error instanceof ConnectError) return readable(error);
  const aborted = fromAbort(error);
  if (aborted) return aborted;
  const unstorable = fromUnstorableText(error);
  if (unstorable) return unstorable;
  const known = infrastructureError(error);
  if (known) return fromDomainError(known);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

/**
 * The outcome of one refused entry in a list call. An error that does not blame the entry (a lost connection, an
 * internal error) is thrown on, so that the whole list fails and is repeated.
 */
export function toFailure(error: unknown): Failure {
  if (error instanceof DomainError && isCallerFault(error.code)) {
    const { code, domain, reasonName: reason, message, metadata } = error;
    return create(FailureSchema, { code, domain, reason, message, metadata });
  }
  const told = toConnectError(error);
  if (isCallerFault(told.code)) return failureOf(told);
  throw error;
}

/** Refusals that blame neither the request nor a fault in the code: the same call may succeed later. */
const passing: ReadonlySet<Code> = new Set([
  Code.ResourceExhausted,
  Code.Unavailable,
  Code.Aborted,
  Code.DeadlineExceeded,
  Code.Canceled,
]);

/**
 * The same for entries that have nothing to do with each other: what is refused for the moment is the outcome of the entry
 * too, with the time after which it may be repeated. Only an internal error is thrown on.
 */
export function toOwnFailure(error: unknown): Failure {
  const told = toConnectError(error);
  if (isCallerFault(told.code) || passing.has(told.code)) return failureOf(told);
  throw error;
}

function failureOf(told: ConnectError): Failure {
  const { code, rawMessage: message } = told;
  const { domain = "", reason = "", metadata = {} } = told.findDetails(ErrorInfoSchema)[0] ?? {};
  const violations = told.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const fieldViolations = violations.map((violation) => {
    return create(FieldViolationSchema, {
      field: violation.field,
      description: violation.description,
      reason: violation.reason,
    });
  });
  const [retry] = told.findDetails(RetryInfoSchema);
  const retryDelay = retry?.retryDelay;
  return create(FailureSchema, {
    code,
    domain,
    reason,
    message,
    metadata,
    fieldViolations,
    ...(retryDelay && { retryDelay }),
  });
}
