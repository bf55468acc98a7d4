import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { ApplicationFailure, CancelledFailure, Context } from "@temporalio/activity";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";
import { isCallerFault } from "#platform/errors.ts";
import { hideCardNumbers, holdsCardNumber } from "#platform/redact/redact-text.ts";
import type { BatchFailure, Outcome } from "../workflows/engine/step-batch.ts";
import type { EntryKey } from "./entry-key.ts";
import { traceparentsOf } from "./step-spans.ts";

/** The most entries of one call, as the contract says. */
const maxEntries = 256;
/** The call ends this long before its activity does, so that the failure tells what happened. */
const answerMs = 250;
/** The share of the heartbeat timeout that one call may take: an activity with heartbeats may make two between them. */
const heartbeatShare = 0.4;

/**
 * What is said of a callee that did not answer. An error that is no answer of the transport is a fault of ours: maybe one
 * entry of the batch has it.
 */
const awayCodes: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.Canceled,
  Code.Unknown,
]);

/** An outcome as every batch call of the contract has it. */
export interface ProtoOutcome<R> {
  outcome:
    | { case: "response"; value: R }
    | { case: "failure"; value: Failure }
    | { case: undefined; value?: undefined };
}

/** The outcome of an entry that is done. */
export function done<O>(value: O): Outcome<O> {
  return { kind: "done", value };
}

/** The outcome of an entry that is not decided yet. */
export const pending: Outcome<never> = { kind: "pending" };

/** The outcome of an entry that is refused. */
export function refused(reason: string, message: string, domain: string): Outcome<never> {
  return { kind: "refused", refusal: { reason, message, domain, metadata: {} } };
}

/**
 * Makes one batch call and returns an outcome for each entry. Calls with more entries than the contract allows are split.
 *
 * @param call    sends a part of the batch with the trace context of each entry, and returns the outcomes in the same order
 * @param outcome what a response means; `response` fields that are absent count as a fault of the callee
 */
export async function batchCall<I extends EntryKey, R, O>(
  entries: I[],
  call: (entries: I[], options: CallOptions, traceparents: string[]) => Promise<{ outcomes: ProtoOutcome<R>[] }>,
  outcome: (response: R, entry: I) => Outcome<O>,
): Promise<Outcome<O>[]> {
  const outcomes: Outcome<O>[] = [];
  for (let from = 0; from < entries.length; from += maxEntries) {
    const part = entries.slice(from, from + maxEntries);
    const answer = await guarded((options) => call(part, options, traceparentsOf(part)));
    if (answer.outcomes.length !== part.length) {
      throw ApplicationFailure.nonRetryable("the answer has another length than the batch", "MALFORMED_ANSWER");
    }
    part.forEach((entry, index) => {
      const proto = answer.outcomes[index]?.outcome;
      if (proto?.case === "response") outcomes.push(outcome(proto.value, entry));
      else if (proto?.case === "failure") outcomes.push(fromFailure(proto.value));
      else throw ApplicationFailure.nonRetryable("an entry has no outcome", "MALFORMED_ANSWER");
    });
  }
  return outcomes;
}

/**
 * Makes the two calls of a step that has halves: what the first has done goes on to the second with what came out, and
 * has its outcome; anything else stays as it is.
 */
export async function bothHalves<I, M, O>(
  entries: I[],
  first: (entries: I[]) => Promise<Outcome<M>[]>,
  second: (entries: I[], outputs: M[]) => Promise<Outcome<O>[]>,
): Promise<Outcome<O>[]> {
  const begun = await first(entries);
  const going = entries.filter((_, index) => begun[index]?.kind === "done");
  const outputs = begun.flatMap((outcome) => (outcome.kind === "done" ? [outcome.value] : []));
  const finished = (going.length > 0 ? await second(going, outputs) : []).values();
  return begun.map((outcome) => (outcome.kind === "done" ? (finished.next().value ?? pending) : outcome));
}

/** A refusal is final when it blames the entry; anything else is asked again. */
function fromFailure({ code, reason, message, domain, metadata }: Failure): Outcome<never> {
  if (!isCallerFault(code)) return pending;
  return {
    kind: "refused",
    // It is kept in the workflow's history, and may say the number of a place, which may look like a card's.
    refusal: {
      reason: reason || (Code[code] ?? ""),
      message: hideCardNumbers(message),
      domain,
      metadata: { ...metadata },
    },
  };
}

/** Makes a call within the time of its activity. @throws what {@link toActivityFailure} makes of a call that fails */
export async function guarded<T>(call: (options: CallOptions) => Promise<T>): Promise<T> {
  const { cancellationSignal: signal, info } = Context.current();
  const untilHeartbeat = info.heartbeatTimeoutMs ? info.heartbeatTimeoutMs * heartbeatShare : Number.POSITIVE_INFINITY;
  const timeoutMs = Math.max(answerMs, Math.min(info.startToCloseTimeoutMs - answerMs, untilHeartbeat));
  try {
    return await call({ signal, timeoutMs });
  } catch (error) {
    if (signal.aborted) throw new CancelledFailure("the activity is cancelled");
    throw toActivityFailure(error);
  }
}

/** The failure of a whole call. Repeating a call that blames the caller is of no use; everything else is repeated. */
export function toActivityFailure(error: unknown): ApplicationFailure {
  const { code, rawMessage, findDetails } = asConnectError(error);
  const type = findDetails(ErrorInfoSchema)[0]?.reason ?? Code[code] ?? "Unknown";
  // It is kept in the workflow's history.
  const message = hideCardNumbers(`${type}: ${rawMessage}`);
  const isAnswer = error instanceof ConnectError;
  const invalid = isAnswer && code === Code.InvalidArgument;
  const details: [BatchFailure] = [{ away: isAnswer && awayCodes.has(code), ...(invalid && { invalid }) }];
  const options = { type, message, details, nonRetryable: isCallerFault(code) };
  const harmless = error instanceof Error && !holdsCardNumber(`${error.message}\n${error.stack}`);
  return ApplicationFailure.create(harmless ? { ...options, cause: error } : options);
}

function asConnectError(error: unknown) {
  const connectError = ConnectError.from(error);
  const { code, rawMessage } = connectError;
  return { code, rawMessage, findDetails: connectError.findDetails.bind(connectError) };
}
