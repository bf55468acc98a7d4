import { Code, ConnectError } from "@connectrpc/connect";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";

/** What became of one piece of news; `reason` says why it is refused, `error` what kept the other side from answering. */
export type Telling =
  | { readonly kind: "told" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "failed"; readonly error: unknown; readonly away: boolean };

/** An outcome as every batch call of the contract has it. */
interface ProtoOutcome {
  readonly outcome:
    | { readonly case: "response" }
    | { readonly case: "failure"; readonly value: Failure }
    | { readonly case: undefined };
}

/** How news is told. */
export interface TellOptions<T> {
  /** What it is told to, for messages. */
  readonly whom: string;
  /** Tells some, and returns the outcomes in the same order. */
  readonly tell: (some: readonly T[]) => Promise<{ readonly outcomes: readonly ProtoOutcome[] }>;
}

/**
 * Tells each piece of news in as few calls as can be. A batch for which the other side fails is halved until the piece that is
 * the cause is alone: that one has failed, or is refused, and the others are told.
 *
 * @param calls how many calls may be made at most: enough to find one piece of a whole batch
 */
export function tellEach<T>(all: readonly T[], { whom, tell }: TellOptions<T>, calls = 24): Promise<Telling[]> {
  let left = calls;
  const telling = async (some: readonly T[]): Promise<Telling[]> => {
    if (left === 0) return some.map(() => failed(new Error("too many calls for one sweep"), false));
    left -= 1;
    try {
      const { outcomes } = await tell(some);
      if (outcomes.length === some.length) return outcomes.map((outcome) => toTelling(outcome, whom));
      throw new Error(`${whom} said something about ${outcomes.length} of ${some.length}`);
    } catch (error) {
      if (!isOfThem(error)) return some.map(() => failed(error, true));
      if (some.length === 1) return [blamesThem(error) ? { kind: "refused", reason: "INVALID" } : failed(error, false)];
      const middle = some.length >> 1;
      const first = await telling(some.slice(0, middle));
      return [...first, ...(await telling(some.slice(middle)))];
    }
  };
  return telling(all);
}

function toTelling({ outcome }: ProtoOutcome, whom: string): Telling {
  if (outcome.case === "response") return { kind: "told" };
  if (outcome.case === "failure")
    return { kind: "refused", reason: outcome.value.reason || Code[outcome.value.code] || "" };
  return failed(new Error(`${whom} gave no outcome`), false);
}

function failed(error: unknown, away: boolean): Telling {
  return { kind: "failed", error, away };
}

/** Whether one of them may be what it fails for. Otherwise the other side is away, too busy, or too old to know the call. */
function isOfThem(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return true;
  return blamesThem(error) || error.code === Code.Internal || error.code === Code.Unknown;
}

function blamesThem(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.InvalidArgument;
}
