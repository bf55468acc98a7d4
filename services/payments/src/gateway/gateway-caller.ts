import { addAbortListener } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type Context, context } from "@opentelemetry/api";
import { Batcher } from "#platform/batch/batcher.ts";
import { decodeId } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";
import { outsideId, outsideText } from "#platform/redact/outside-text.ts";
import type { Operation, Ticket, Verdict } from "../operation/operation.ts";
import { type Effect, gatewayEffectOf, heldOf, isCapturedOnce, type Payment } from "../payment/payment.ts";
import {
  type Gateway,
  GatewayAmbiguousError,
  type GatewayAnswer,
  type GatewayOperation,
  GatewayUnavailableError,
} from "./gateway.ts";
import { type GatewayCallKind, type OnGatewayCall, observed } from "./gateway-call.ts";

/** How the gateway is called. */
export interface GatewayLimits {
  /** For one call, in milliseconds. An operation is given up, until the resolver takes it, after twice as long. */
  readonly timeoutMs: number;
  /** Calls at the same time. */
  readonly inflight: number;
}

/** What a caller of the gateway works with. */
export interface GatewayCallerOptions {
  readonly gateway: Gateway;
  readonly limits: GatewayLimits;
  readonly log: Pick<Logger, "warn" | "error">;
  /** Told about every call. */
  readonly onCall?: OnGatewayCall | undefined;
}

interface Job {
  readonly ticket: Ticket;
  /** By `performance.now()`. */
  readonly until: number;
  /** Whether an earlier call may have had its effect. */
  readonly ask: boolean;
  /** The trace that the calls belong to. */
  readonly parent: Context;
}

const maxAttempts = 3;
const firstPauseMs = 50;
const warnEveryMs = 1_000;
/** How long a call may take to end after it was told to; then it is left behind. */
const abortGraceMs = 250;

/** Brings operations to a verdict: sends, and after an ambiguous answer asks first and sends only what is unknown. */
export class GatewayCaller {
  readonly #options: GatewayCallerOptions;
  readonly #calls: Batcher<Job, Verdict | undefined>;
  readonly #open = new Set<AbortController>();
  /** Calls that did not end when they were told to, and still run. */
  #leftBehind = 0;
  #stopped = false;
  #lost = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(options: GatewayCallerOptions) {
    this.#options = options;
    this.#calls = new Batcher({
      name: "gateway calls",
      lanes: options.limits.inflight,
      maxEntries: 1,
      keyOf: (job) => job.ticket.operation.operationId,
      run: (jobs) => Promise.all(jobs.map((job) => this.#run(job))),
    });
  }

  /**
   * What the gateway decided; undefined when that is not known yet, or no call could be made in time. What it need not be asked is approved.
   * Never throws.
   *
   * @param ask whether the operation may have been sent before
   */
  async decide(ticket: Ticket, ask: boolean): Promise<Verdict | undefined> {
    const { limits, log } = this.#options;
    const { payment, operation } = ticket;
    if (!gatewayEffectOf(payment, operation.kind)) return { approved: true, reference: payment.gatewayReference };
    const patienceMs = 2 * limits.timeoutMs;
    const job = { ticket, ask, until: performance.now() + patienceMs, parent: context.active() };
    try {
      return await this.#calls.submit(job, { deadline: Date.now() + patienceMs });
    } catch (error) {
      const { operationId, kind } = ticket.operation;
      log.error("an operation stays undecided", { err: error, "operation.id": operationId, kind });
      return undefined;
    }
  }

  /** Aborts the calls that run and takes no more; what they leave undecided is the resolver's. */
  stop(): void {
    this.#stopped = true;
    for (const controller of this.#open) controller.abort();
  }

  async #run(job: Job): Promise<Verdict | undefined> {
    let ask = job.ask;
    const refusal = ask ? undefined : this.#options.gateway.refusal(toGatewayOperation(job.ticket));
    if (refusal !== undefined) return { approved: false, code: refusal };
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const left = job.until - performance.now();
      if (left <= 0 || this.#stopped) return undefined;
      try {
        return toVerdict(await this.#attempt(job, ask, Math.min(left, this.#options.limits.timeoutMs)));
      } catch (error) {
        if (!(error instanceof GatewayAmbiguousError || error instanceof GatewayUnavailableError)) throw error;
        this.#warn(job.ticket.operation, error);
        // What certainly had no effect need not be asked for.
        ask ||= error instanceof GatewayAmbiguousError;
      }
      await delay(firstPauseMs * 2 ** attempt);
    }
    return undefined;
  }

  /** While the gateway is away this happens to every call: one line a second says how often. */
  #warn({ operationId, kind }: Operation, error: Error): void {
    this.#lost += 1;
    if (performance.now() - this.#warnedAt < warnEveryMs) return;
    const fields = { "operation.id": operationId, kind, "error.message": error.message, lost: this.#lost };
    this.#options.log.warn("answers of the gateway were lost", fields);
    this.#lost = 0;
    this.#warnedAt = performance.now();
  }

  async #attempt(job: Job, ask: boolean, timeoutMs: number): Promise<GatewayAnswer> {
    const { gateway } = this.#options;
    const operation = toGatewayOperation(job.ticket);
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    this.#open.add(controller);
    try {
      const find = () => gateway.find(operation, controller);
      const known = ask ? await this.#call(job, "find", { controller, call: find }) : undefined;
      if (known) return known;
      const send = () => gateway.execute(operation, controller);
      return await this.#call(job, operation.kind, { controller, call: send });
    } finally {
      clearTimeout(timer);
      this.#open.delete(controller);
    }
  }

  #call<A extends GatewayAnswer | undefined>(
    { ticket, parent }: Job,
    kind: GatewayCallKind,
    bounded: Bounded<A>,
  ): Promise<A> {
    const { limits, onCall } = this.#options;
    return observed({ kind, ticket, parent, onCall }, () => {
      if (this.#leftBehind >= limits.inflight) {
        throw new GatewayUnavailableError("too many calls to the gateway do not end");
      }
      return this.#within(bounded);
    });
  }

  /** A call that does not end when it is told to is left behind: its effect, if it has one, is asked for by its key. */
  async #within<A>({ controller, call }: Bounded<A>): Promise<A> {
    const late = Promise.withResolvers<never>();
    const leave = () => late.reject(new GatewayAmbiguousError("a call to the gateway does not end"));
    let timer: NodeJS.Timeout | undefined;
    using _listening = addAbortListener(controller.signal, () => {
      timer = setTimeout(leave, abortGraceMs);
    });
    let ended = false;
    const running = call().finally(() => {
      ended = true;
    });
    try {
      return await Promise.race([running, late.promise]);
    } finally {
      clearTimeout(timer);
      if (!ended) this.#follow(running);
    }
  }

  #follow(running: Promise<unknown>): void {
    this.#leftBehind += 1;
    const gone = () => {
      this.#leftBehind -= 1;
    };
    running.then(gone, gone);
  }
}

/** What of an operation the gateway is told. */
export function toGatewayOperation({ operation, payment }: Ticket): GatewayOperation {
  const { operationId, amount = 0n, createTime } = operation;
  const kind = askedOf({ operation, payment });
  const { orderId, cardToken, currency, captured, voided, refunded } = payment;
  const isAuthorization = kind === "authorize";
  return {
    key: decodeId(operationId),
    kind,
    orderId,
    cardToken: isAuthorization ? cardToken : "",
    reference: isAuthorization ? "" : payment.gatewayReference,
    currency,
    amount,
    final: isLast({ kind, amount, payment }),
    // What credits give back to the card is not known here.
    before: payment.sourceId === "" && payment.credited === 0n ? { captured, voided, refunded } : undefined,
    createTime,
  };
}

/** Whether nothing of the authorization is held after it. */
function isLast({ kind, amount, payment }: { kind: Effect; amount: bigint; payment: Payment }): boolean {
  if (kind === "capture" && isCapturedOnce(payment)) return true;
  return (kind === "capture" || kind === "void") && heldOf(payment) === amount;
}

/** What the gateway is asked for an operation. @throws when it is asked nothing: a fault in the code */
function askedOf({ operation, payment }: Ticket): Effect {
  const kind = gatewayEffectOf(payment, operation.kind);
  if (!kind) throw new Error(`the gateway is asked nothing for the ${operation.kind} ${operation.operationId}`);
  return kind;
}

interface Bounded<A> {
  readonly controller: AbortController;
  readonly call: () => Promise<A>;
}

/** The longest texts of the gateway that are kept, in characters. */
const longest = { reference: 255, code: 64 };

/** References and codes are stored and told, and may be any text of somebody else's: none keeps a decision from being written down. */
function toVerdict(answer: GatewayAnswer): Verdict | undefined {
  if (answer.state === "processing") return undefined;
  return answer.state === "approved"
    ? {
        approved: true,
        reference: outsideId(answer.reference, longest.reference),
        holdExpireTime: answer.holdExpireTime,
      }
    : { approved: false, code: outsideText(answer.code, longest.code) };
}
