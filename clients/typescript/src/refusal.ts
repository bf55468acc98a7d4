import type { Duration } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import type { Failure } from "./gen/shop/type/v1/failure_pb.js";

/** What is wrong with one field of a request. */
export interface FieldProblem {
  /** The way to it from the request on, for example `lines[0].sku`. */
  readonly field: string;
  /** One English sentence for developers. */
  readonly description: string;
  /** The id of the rule that it breaks. */
  readonly reason: string;
}

/** Why a call, or one entry of a call, was not done. */
export interface Refusal {
  readonly code: Code;
  /** Upper snake case, as the service's enum of reasons has it, for example `OUT_OF_STOCK`; empty when there is none. */
  readonly reason: string;
  /** Who refuses, for example `inventory.shop`; empty when nobody of the mesh does. */
  readonly domain: string;
  /** One English sentence for developers. */
  readonly message: string;
  /** What the reason's comment in the contract lists, for example the article. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: readonly FieldProblem[];
  /** After how many milliseconds a repetition may succeed; undefined when nobody said so. */
  readonly retryDelayMs: number | undefined;
}

/** What a service says about a call that failed, whatever that failed with, or about an entry of a call for many. */
export function refusalOf(failed: unknown): Refusal {
  return isFailure(failed) ? ofEntry(failed) : ofCall(ConnectError.from(failed));
}

function isFailure(value: unknown): value is Failure {
  return (
    typeof value === "object" && value !== null && "$typeName" in value && value.$typeName === "shop.type.v1.Failure"
  );
}

function ofEntry({ code, reason, domain, message, metadata, fieldViolations, retryDelay }: Failure): Refusal {
  const fields = fieldViolations.map(toProblem);
  return { code, reason, domain, message, metadata, fields, retryDelayMs: retryDelay && milliseconds(retryDelay) };
}

function ofCall(error: ConnectError): Refusal {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    code: error.code,
    reason: info?.reason ?? "",
    domain: info?.domain ?? "",
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
    fields: violations.map(toProblem),
    retryDelayMs: retry?.retryDelay && milliseconds(retry.retryDelay),
  };
}

function toProblem({ field, description, reason }: FieldProblem): FieldProblem {
  return { field, description, reason };
}

function milliseconds({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1e6;
}
