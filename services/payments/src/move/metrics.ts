import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ApprovalRepository } from "../approval/approval.repository.ts";
import type { OnGatewayCall } from "../gateway/gateway-call.ts";
import type { GatewayEventRepository } from "../gateway-event/gateway-event.repository.ts";
import type { OperationRepository } from "../operation/operation.repository.ts";
import type { Ticket } from "../operation/operation.ts";
import type { Effect } from "../payment/payment.ts";
import type { RefundRequestState } from "../refund/refund-request.ts";

/** Payments of before may be in any three letters; a label may not become a currency that there is not. */
const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf("currency"));

/** What is counted of credits: `credit` when one is made, `redeem` when it pays; what goes back to the card is a refund. */
const creditKinds = {
  authorize: "credit",
  capture: "redeem",
  void: "refund",
  refund: "refund",
} as const satisfies Record<Effect, string>;

const happenings = ["refund_failed", "hold_ended", "disputed"] as const;

/** So long before a dispute has to be answered people are told: over a weekend too there is a working day left. */
const answerWithinMs = 3 * 24 * 3_600_000;

/** What the payments service counts. */
export class PaymentMetrics {
  readonly #decided: Counter<"kind" | "outcome">;
  readonly #amounts: Counter<"kind" | "currency">;
  readonly #gateway: Histogram<"kind" | "outcome">;
  readonly #undecided: Gauge;
  readonly #age: Gauge;
  readonly #refundRequests: Counter<"outcome">;
  readonly #gatewayEvents: Gauge<"kind">;
  readonly #openDisputes: Gauge;
  readonly #dueDisputes: Gauge;
  readonly #waiting: Gauge;
  readonly #waitingAge: Gauge;

  constructor(registry: Registry) {
    this.#decided = new Counter({
      name: "payments_operations_total",
      help: "Operations that the gateway decided, by kind and outcome.",
      labelNames: ["kind", "outcome"],
      registers: [registry],
    });
    // Prometheus counts only what comes after a series' first value, and a share needs both of its parts.
    for (const outcome of ["succeeded", "refused"]) this.#decided.inc({ kind: "authorize", outcome }, 0);
    this.#amounts = new Counter({
      name: "payments_amount_total",
      help: "Money that operations moved, in minor units, by kind (of credits: credit, redeem, refund) and ISO 4217 currency.",
      labelNames: ["kind", "currency"],
      registers: [registry],
    });
    this.#gateway = new Histogram({
      name: "payments_gateway_duration_seconds",
      help: "Duration of calls to the card gateway, by what for and how they ended.",
      labelNames: ["kind", "outcome"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers: [registry],
    });
    this.#undecided = new Gauge({
      name: "payments_undecided_operations",
      help: "Operations that were sent and are not decided.",
      registers: [registry],
    });
    this.#age = new Gauge({
      name: "payments_undecided_age_seconds",
      help: "Age of the oldest operation that is not decided.",
      registers: [registry],
    });
    this.#refundRequests = refundRequestCounter(registry);
    this.#gatewayEvents = gatewayEventGauge(registry);
    [this.#openDisputes, this.#dueDisputes] = disputeGauges([registry]);
    this.#waiting = new Gauge({
      name: "payments_refund_requests_waiting",
      help: "Refunds that wait for a second person.",
      registers: [registry],
    });
    this.#waitingAge = new Gauge({
      name: "payments_refund_request_age_seconds",
      help: "Age of the oldest refund that waits for a second person.",
      registers: [registry],
    });
  }

  /** Counts a decided operation. */
  decided({ operation, payment }: Ticket): void {
    const { state, amount = 0n } = operation;
    const kind = payment.sourceId === "" ? operation.kind : creditKinds[operation.kind];
    this.#decided.inc({ kind, outcome: state });
    if (state !== "succeeded" || amount === 0n) return;
    const currency = currencies.has(payment.currency) ? payment.currency : "other";
    this.#amounts.inc({ kind, currency }, Number(amount));
  }

  /** Measures a call to the gateway. */
  readonly gatewayCalled: OnGatewayCall = ({ kind, outcome, seconds }) => {
    this.#gateway.observe({ kind, outcome }, seconds);
  };

  /** Looks how much happened at the gateway by itself of late, and how many disputes wait for people. */
  async refreshGatewayEvents(events: Pick<GatewayEventRepository, "recent" | "disputes">): Promise<void> {
    const { open, due } = await events.disputes(answerWithinMs);
    this.#openDisputes.set(open);
    this.#dueDisputes.set(due);
    const recent = await events.recent();
    for (const kind of happenings) this.#gatewayEvents.set({ kind }, recent.get(kind) ?? 0);
  }

  /** Counts a refund that waits for a second person from now on. */
  refundRequested(): void {
    this.#refundRequests.inc({ outcome: "waiting" });
  }

  /** Counts one that waits no more. */
  refundDecided(outcome: Exclude<RefundRequestState, "waiting">): void {
    this.#refundRequests.inc({ outcome });
  }

  /** Looks how many wait for a second person. */
  async refreshRequests(approvals: Pick<ApprovalRepository, "waiting">): Promise<void> {
    const { waiting, ageSeconds } = await approvals.waiting();
    this.#waiting.set(waiting);
    this.#waitingAge.set(ageSeconds);
  }

  /** Looks how much is undecided. */
  async refresh(operations: Pick<OperationRepository, "backlog">): Promise<void> {
    const { undecided, ageSeconds } = await operations.backlog();
    this.#undecided.set(undecided);
    this.#age.set(ageSeconds);
  }
}

function refundRequestCounter(registry: Registry): Counter<"outcome"> {
  const counter = new Counter({
    name: "payments_refund_requests_total",
    help: "Refunds that needed a second person, by what became of them; waiting: when they were asked for.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  for (const outcome of ["waiting", "approved", "rejected", "expired"]) counter.inc({ outcome }, 0);
  return counter;
}

/** Of those that are open, and of those that are due. */
function disputeGauges(registers: Registry[]): [Gauge, Gauge] {
  const open = new Gauge({
    name: "payments_disputes_open",
    help: "Disputes that the banks have not decided.",
    registers,
  });
  const due = new Gauge({
    name: "payments_disputes_due",
    help: "Disputes that nobody has answered and that can be answered for three more days at most.",
    registers,
  });
  return [open, due];
}

function gatewayEventGauge(registry: Registry): Gauge<"kind"> {
  const gauge = new Gauge({
    name: "payments_gateway_events_recent",
    help: "What happened at the card gateway by itself, and was read in the last hour: refund_failed, hold_ended, disputed.",
    labelNames: ["kind"],
    registers: [registry],
  });
  for (const kind of happenings) gauge.set({ kind }, 0);
  return gauge;
}
