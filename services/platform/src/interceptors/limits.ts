import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import type { Caller } from "#platform/caller.ts";
import { requestContext } from "#platform/context.ts";
import type { Quota } from "#platform/limit-settings.ts";
import { Budget, type Taken } from "#platform/limits/budget.ts";
import type { ClientAddresses } from "#platform/limits/client-address.ts";
import type { CallerKind, Decision } from "#platform/limits/decision.ts";
import { rateLimited } from "#platform/limits/errors.ts";
import type { Ledger } from "#platform/limits/ledger.ts";
import { type RateClassName, rateClasses, rateClassOf } from "#platform/limits/rate-class.ts";
import { type CallRequest, type CallResponse, followStream } from "./compose.ts";
import { isKnown, originOf, wayInOf } from "./known-call.ts";

/** How often each caller may call, by the class of the call; what has no quota is not counted. */
export type Quotas = Readonly<Record<RateClassName, Quota | undefined>>;

/** What limits are kept with. */
export interface LimitsOptions {
  readonly quotas: Quotas;
  /** Where the replicas of the service tell each other what callers have used. */
  readonly ledger?: Ledger | undefined;
  /** How many replicas there are, while they cannot; default 1. */
  readonly replicas?: number;
  readonly addresses: ClientAddresses;
  /** How many streams a caller may have at the same time in this process; default any number. */
  readonly mostStreams?: number;
  /** Told of each call that is counted. */
  readonly onDecision?: (decision: Decision) => void;
}

/** A quota's budgets, and what every answer says of it. */
interface Limit {
  readonly name: RateClassName;
  readonly budget: Budget;
  readonly policy: string;
}

/** On gRPC, callers are told what is left once it is less than this share: headers cost there, and hardly anybody reads them. */
const toldBelow = 0.5;
/** How long a caller with too many streams should wait, in milliseconds: it is the one who ends them. */
const streamRetryMs = 1_000;

/**
 * Counts calls for whoever makes them, on both faces together, and refuses those beyond the quota of their class. A caller is who its
 * credential proves it to be, and otherwise the address from which it calls. Nothing waits here.
 */
export class Limits {
  readonly #limits = new Map<RateClassName, Limit>();
  readonly #classes = new Map<DescMethod, RateClassName>();
  readonly #addresses: ClientAddresses;
  readonly #onDecision: (decision: Decision) => void;
  readonly #budgetOf: (name: RateClassName, quota: Quota) => Budget;
  readonly #mostStreams: number;
  /** How many streams each caller has that has any. */
  readonly #streams = new Map<string, number>();

  constructor(options: LimitsOptions) {
    const { quotas, ledger, replicas = 1, addresses, onDecision = () => undefined } = options;
    this.#budgetOf = (name, quota) => new Budget(quota, { name, ledger, replicas });
    for (const name of rateClasses) this.use(name, quotas[name]);
    this.#addresses = addresses;
    this.#onDecision = onDecision;
    this.#mostStreams = options.mostStreams ?? Number.POSITIVE_INFINITY;
  }

  /** Has another quota for a class from now on, or none; what was used of the one before is forgotten. */
  use(name: RateClassName, quota: Quota | undefined): void {
    if (quota) this.#limits.set(name, { name, budget: this.#budgetOf(name, quota), policy: policyOf(name, quota) });
    else this.#limits.delete(name);
  }

  /** Counts the calls that pass through it; to be put inside of what proves who calls. */
  interceptor(): Interceptor {
    return (next) => (request) => {
      const { caller } = requestContext();
      const name = this.#classOf(request.method, caller);
      const limit = this.#limits.get(name);
      const isBound = request.stream && name !== "service";
      if (!limit && !isBound) return next(request);
      const by: CallerKind = caller ? "caller" : "address";
      const who = caller ? caller.subject : this.#addressOf(request);
      if (limit) {
        const taken = limit.budget.take(who);
        this.#onDecision({ class: limit.name, by, refused: !taken.taken });
        tell(request, limit, taken);
        if (!taken.taken) return Promise.reject(rateLimited(limit.name, taken.waitMs));
      }
      return isBound ? this.#stream(who, () => next(request)) : next(request);
    };
  }

  async #stream(who: string, next: () => Promise<CallResponse>): Promise<CallResponse> {
    const open = this.#streams.get(who) ?? 0;
    if (open >= this.#mostStreams) throw rateLimited("streams", streamRetryMs);
    this.#streams.set(who, open + 1);
    const onEnd = () => {
      const left = (this.#streams.get(who) ?? 1) - 1;
      if (left > 0) this.#streams.set(who, left);
      else this.#streams.delete(who);
    };
    try {
      const response = await next();
      if (!response.stream) throw new Error("an interceptor answered a stream with a single message");
      return followStream(response, { onEnd });
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  /**
   * Refuses to look at a credential that may be a guess, from an address that has shown too many that were made up.
   *
   * @throws RATE_LIMITED
   */
  admitGuess(request: CallRequest): void {
    const limit = this.#limits.get("sensitive");
    const who = this.#addressOf(request);
    if (!limit || limit.budget.has(who)) return;
    this.#onDecision({ class: limit.name, by: "address", refused: true });
    const { waitMs } = limit.budget.take(who);
    throw rateLimited(limit.name, waitMs);
  }

  /** Counts a credential that was made up. */
  countGuess(request: CallRequest): void {
    this.#limits.get("sensitive")?.budget.take(this.#addressOf(request));
  }

  /** No credential proves a name that begins like this one. */
  #addressOf(request: CallRequest): string {
    return `from ${this.#addresses.of(originOf(request))}`;
  }

  #classOf(method: DescMethod, caller: Caller | undefined): RateClassName {
    const name = this.#classes.get(method) ?? rateClassOf(method);
    this.#classes.set(method, name);
    return caller?.service === undefined ? name : "service";
  }
}

/** As draft-ietf-httpapi-ratelimit-headers-11 has a policy: its name, its quota, its window in seconds. */
function policyOf(name: string, { calls, windowMs }: Quota): string {
  return `"${name}";q=${calls};w=${windowMs / 1000}`;
}

function tell(request: CallRequest, limit: Limit, { taken, left, waitMs, wholeMs }: Taken): void {
  const { calls } = limit.budget.quota;
  if (isKnown(request) && left >= calls * toldBelow) return;
  const seconds = Math.ceil((taken ? wholeMs : waitMs) / 1000);
  const headers = {
    "RateLimit-Policy": limit.policy,
    RateLimit: `"${limit.name}";r=${left};t=${seconds}`,
    "X-RateLimit-Limit": calls,
    "X-RateLimit-Remaining": left,
    "X-RateLimit-Reset": seconds,
    ...(!taken && { "Retry-After": seconds }),
  };
  const way = wayInOf(request);
  for (const [name, value] of Object.entries(headers)) way?.setHeader(name, String(value));
}
