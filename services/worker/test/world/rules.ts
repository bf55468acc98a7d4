import { Code, ConnectError } from "@connectrpc/connect";

/** One entry of a batch call, as the fake services see it. */
export interface Call {
  /** "reserve", "release", "authorize", "void", "capture", "refund", "confirm", "transition", "create", "ship", … */
  step: string;
  orderId: string;
  /** Empty for what concerns the whole order. */
  locationId: string;
  /** What names the effect that is asked for; mostly the request id. */
  id: string;
  /** How often this entry was asked for before. */
  repetition: number;
}

/** What a fake service does with an entry; `refuse` carries the reason. */
export type Behaviour =
  | { kind: "answer" }
  | { kind: "refuse"; reason: string; metadata?: Record<string, string> }
  /** The whole call fails, nothing happens. */
  | { kind: "unavailable" }
  /** The whole call fails with an error of the callee's own, nothing happens. */
  | { kind: "fault" }
  /** The whole call fails with an error that blames the batch. */
  | { kind: "invalid" }
  /** It happens, but the answer is lost. */
  | { kind: "lost" }
  /** The outside world has not decided. */
  | { kind: "pending" };

/** Decides about entries; the first rule that answers counts. */
export type Rule = (call: Call) => Behaviour | undefined;

/** A rule for one step, for all orders or one of them, the first `times` times that the entry is asked for. */
export function on(step: string, behaviour: Behaviour, limits: { orderId?: string; times?: number } = {}): Rule {
  const { orderId, times = Number.POSITIVE_INFINITY } = limits;
  const [name, location] = step.split(":");
  return (call) => {
    const same = call.step === name && (location === undefined || call.locationId === location);
    return same && (orderId ?? call.orderId) === call.orderId && call.repetition < times ? behaviour : undefined;
  };
}

/** The error of a call that fails as a whole. */
export function wholeFailure(behaviours: Behaviour[]): ConnectError | undefined {
  const kinds = new Set(behaviours.map(({ kind }) => kind));
  if (kinds.has("invalid")) return new ConnectError("an entry is not valid", Code.InvalidArgument);
  if (kinds.has("fault")) return new ConnectError("an entry makes it stumble", Code.Internal);
  if (kinds.has("unavailable")) return new ConnectError("the service is away", Code.Unavailable);
  if (kinds.has("lost")) return new ConnectError("the answer is lost", Code.Unavailable);
  return undefined;
}
