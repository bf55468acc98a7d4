import { setTimeout as delay } from "node:timers/promises";
import { Batcher } from "#platform/database/batcher.ts";
import { decodeId } from "#platform/id.ts";
import {
  type Gateway,
  GatewayAmbiguousError,
  type GatewayAnswer,
  type GatewayCall,
  GatewayUnavailableError,
} from "./gateway.ts";
import type { Operation, Verdict } from "./operation.ts";
import type { Ticket } from "./recording.ts";

/** Where failures of the gateway are reported. */
export interface GatewayLog {
  warn(message: string, fields?: Record<string, unknown>): unknown;
  error(message: string, fields?: Record<string, unknown>): unknown;
}

/** How the gateway is called. */
export interface GatewayLimits {
  /** For one call, in milliseconds. An operation is given up, until the resolver takes it, after twice as long. */
  readonly timeoutMs: number;
  /** Calls at the same time. */
  readonly inflight: number;
}

interface Job extends Ticket {
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** Whether an earlier call may have had its effect. */
  readonly ask: boolean;
}

const maxAttempts = 3;
const firstPauseMs = 50;
const warnEveryMs = 1_000;

/** Brings operations to a verdict: sends, and after an ambiguous answer asks first and sends only what is unknown. */
export class GatewayCaller {
  readonly #gateway: Gateway;
  readonly #limits: GatewayLimits;
  readonly #log: GatewayLog;
  readonly #calls: Batcher<Job, Verdict | undefined>;
  readonly #open = new Set<AbortController>();
  #stopped = false;
  #lost = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(gateway: Gateway, limits: GatewayLimits, log: GatewayLog) {
    this.#gateway = gateway;
    this.#limits = limits;
    this.#log = log;
    this.#calls = new Batcher({
      name: "gateway calls",
      lanes: limits.inflight,
      maxEntries: 1,
      keyOf: (job) => job.operation.operationId,
      run: (jobs) => Promise.all(jobs.map((job) => this.#run(job))),
    });
  }

  /**
   * What the gateway decided; undefined when that is not known yet, or no call could be made in time. Never throws.
   *
   * @param ask whether the operation may have been sent before
   */
  async decide(ticket: Ticket, ask: boolean): Promise<Verdict | undefined> {
    const deadline = Date.now() + 2 * this.#limits.timeoutMs;
    try {
      return await this.#calls.submit({ ...ticket, ask, deadline }, { deadline });
    } catch (error) {
      const { operationId, kind } = ticket.operation;
      this.#log.error("an operation stays undecided", { err: error, "operation.id": operationId, kind });
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
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const left = job.deadline - Date.now();
      if (left <= 0 || this.#stopped) return undefined;
      try {
        return toVerdict(await this.#attempt(job, ask, Math.min(left, this.#limits.timeoutMs)));
      } catch (error) {
        if (!(error instanceof GatewayAmbiguousError || error instanceof GatewayUnavailableError)) throw error;
        this.#warn(job.operation, error);
        ask = true;
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
    this.#log.warn("answers of the gateway were lost", fields);
    this.#lost = 0;
    this.#warnedAt = performance.now();
  }

  async #attempt(job: Job, ask: boolean, timeoutMs: number): Promise<GatewayAnswer> {
    const { operation, payment } = job;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    this.#open.add(controller);
    try {
      const known = ask ? await this.#gateway.find(decodeId(operation.operationId), controller) : undefined;
      return known ?? (await this.#send(operation, payment, controller));
    } finally {
      clearTimeout(timer);
      this.#open.delete(controller);
    }
  }

  #send(operation: Operation, payment: Ticket["payment"], call: GatewayCall): Promise<GatewayAnswer> {
    const { kind, amount = 0n } = operation;
    const key = decodeId(operation.operationId);
    const { cardToken, currency, gatewayReference: reference } = payment;
    if (kind === "authorize") return this.#gateway.authorize(key, { cardToken, currency, amount }, call);
    return this.#gateway[kind](key, { reference, amount }, call);
  }
}

function toVerdict(answer: GatewayAnswer): Verdict | undefined {
  if (answer.state === "processing") return undefined;
  return answer.state === "approved"
    ? { approved: true, reference: answer.reference }
    : { approved: false, code: answer.code };
}
