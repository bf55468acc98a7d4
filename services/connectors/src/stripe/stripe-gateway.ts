import { setTimeout as delay } from "node:timers/promises";
import type Stripe from "stripe";
import type { Logger } from "#platform/log/logger.ts";
import { outsideText } from "#platform/redact/outside-text.ts";
import {
  type Judgement,
  judgeAuthorization,
  judgeCapture,
  judgeRefund,
  judgeVoid,
  type Rules,
  refusalOf,
  refusedWith,
} from "./judgement.ts";
import type { StripeMetrics } from "./metrics.ts";
import {
  type Lease,
  LeaseLost,
  type ListedRow,
  type OperationPage,
  type OperationRepository,
} from "./operation.repository.ts";
import {
  type Asked,
  type Authorization,
  isSame,
  leftOf,
  type Operation,
  type Outcome,
  outcomeOf,
} from "./operation.ts";
import { toStripeAmount } from "./stripe-amount.ts";
import type { Answer } from "./stripe-answer.ts";
import type { StripeCustomers } from "./stripe-customers.ts";
import type { StripeRequests } from "./stripe-requests.ts";

/** What the connector works with. */
export interface StripeGatewayOptions {
  readonly operations: OperationRepository;
  readonly requests: StripeRequests;
  readonly customers: StripeCustomers;
  readonly rules: Rules;
  /** So long after a request without an answer that tells, Stripe is believed when it shows no effect of it; milliseconds. */
  readonly settleMs: number;
  /** How long an operation waits for others of its authorization, in milliseconds. */
  readonly patienceMs: number;
  readonly metrics: Pick<StripeMetrics, "unclear">;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** An operation that is worked at by nobody else. */
interface Work {
  readonly lease: Lease;
  readonly operation: Operation;
  readonly authorization: Authorization;
}

const pauseMs = 50;
/** How often a refund that Stripe takes its time for is looked at, in milliseconds. */
const refundLookMs = 60_000;

/**
 * Has Stripe do what payments asks for, each operation once. It is written down before it is sent, and what came of it after; in between, whatever
 * happens, Stripe's own objects tell: of one authorization no two captures or voids are under way at a time.
 */
export class StripeGateway {
  readonly #options: StripeGatewayOptions;
  readonly #running = new Map<string, Promise<Outcome>>();

  constructor(options: StripeGatewayOptions) {
    this.#options = options;
  }

  /** Does what is wanted. @throws what keeps it from its memory; then there may be an effect */
  async execute(asked: Asked): Promise<Outcome> {
    const operation = await this.#options.operations.begin(asked);
    if (!isSame(operation, asked)) return { state: "reused" };
    return (
      outcomeOf(operation) ?? (await this.#once(operation.key, () => this.#work({ ...operation, final: asked.final })))
    );
  }

  /** What became of an operation, without any effect. */
  async find(asked: Asked): Promise<Outcome> {
    const operation = await this.#options.operations.find(asked.key);
    if (!operation) return { state: "not_executed" };
    if (!isSame(operation, asked)) return { state: "reused" };
    const outcome = outcomeOf(operation);
    if (outcome) return outcome;
    if (this.#running.has(asked.key)) return { state: "processing" };
    return await this.#alone(operation, { patienceMs: 0 }, async (work) => await this.#seen(work));
  }

  /** What was asked for, in the order of keys. */
  list(page: OperationPage): Promise<ListedRow[]> {
    return this.#options.operations.list(page);
  }

  /** Ends once all is answered that was taken. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }

  /** Who asks for the same while it is worked at has the same answer. */
  #once(key: string, work: () => Promise<Outcome>): Promise<Outcome> {
    const known = this.#running.get(key);
    if (known) return known;
    const running = work().finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  }

  async #work(asked: Operation): Promise<Outcome> {
    const { patienceMs } = this.#options;
    return await this.#alone(asked, { patienceMs }, async (work) => {
      const seen = work.operation.state === "sent" ? await this.#seen(work) : undefined;
      if (seen && seen.state !== "not_executed") return seen;
      return await this.#first(work, asked.final);
    });
  }

  /** Takes the authorization for the time of the work. An operation for which there is no time is being processed: by somebody, or soon. */
  async #alone(
    { key, authorizationKey }: Operation,
    { patienceMs }: { readonly patienceMs: number },
    work: (work: Work) => Promise<Outcome>,
  ): Promise<Outcome> {
    const { operations } = this.#options;
    const until = performance.now() + patienceMs;
    for (;;) {
      const taken = await operations.take(authorizationKey);
      if (taken) return await this.#holding(key, taken, work);
      if (performance.now() >= until) return { state: "processing" };
      await delay(pauseMs);
    }
  }

  async #holding(
    key: string,
    { lease, authorization }: Omit<Work, "operation">,
    work: (work: Work) => Promise<Outcome>,
  ): Promise<Outcome> {
    const { operations, log } = this.#options;
    try {
      // Somebody else may have decided it meanwhile.
      const operation = await operations.find(key);
      if (!operation) throw new Error(`the operation ${key} is gone`);
      return outcomeOf(operation) ?? (await work({ lease, operation, authorization }));
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      log.warn("an operation took so long that somebody else has gone on with it", { "operation.id": key, err: error });
      return { state: "undetermined" };
    } finally {
      await operations
        .release(lease)
        .catch((err: unknown) => log.warn("an authorization stays taken for a while", { err }));
    }
  }

  /** What Stripe shows of an operation that may have been sent. It is believed that there was no effect once nothing was sent for a while. */
  async #seen(work: Work): Promise<Outcome> {
    const { operations, settleMs } = this.#options;
    const { operation } = work;
    if (operation.state === "begun") return { state: "not_executed" };
    const quietMs = await operations.quietMs(operation.key);
    const isSlowRefund = operation.kind === "refund" && operation.stripeId !== "";
    if (isSlowRefund && quietMs < Math.min(settleMs * 2, refundLookMs)) return { state: "processing" };
    const judgement = await this.#look(work);
    if (judgement?.is !== "unchanged") return await this.#conclude(work, judgement);
    if (quietMs < settleMs) return { state: "undetermined" };
    const attempts = operation.attempts + 1;
    await operations.write(work.lease, { ...operation, state: "begun", attempts }, work.authorization);
    return { state: "not_executed" };
  }

  /** Asks for Stripe's object; undefined when nobody says it. */
  async #look({ operation, authorization }: Work): Promise<Judgement | undefined> {
    const { requests } = this.#options;
    if (operation.kind === "refund") {
      const { stripeId, key } = operation;
      const refund =
        stripeId === ""
          ? await requests.findRefund(authorization.intentId, key)
          : await requests.retrieveRefund(stripeId);
      if (refund.said !== "done") return undefined;
      return refund.value ? judgeRefund(refund.value) : { is: "unchanged" };
    }
    const intent = await requests.retrieve(authorization.intentId);
    return intent.said === "done" ? judge({ operation, authorization }, intent.value) : undefined;
  }

  /** Sends an operation that certainly has no effect yet, behind whatever of its authorization may have one. */
  async #first(work: Work, final: boolean): Promise<Outcome> {
    const { operations, rules } = this.#options;
    const operation = (await operations.find(work.operation.key)) ?? work.operation;
    let { authorization } = work;
    if (operation.kind === "capture" || operation.kind === "void") {
      for (const other of await operations.others(operation)) {
        const { state } = await this.#seen({ lease: work.lease, operation: other, authorization });
        if (state === "processing" || state === "undetermined") return { state: "processing" };
      }
    }
    authorization = (await operations.authorization(operation.authorizationKey)) ?? authorization;
    const asked = { lease: work.lease, operation: { ...operation, final }, authorization };
    const refusal = refusalOf(asked.operation, authorization, rules);
    if (refusal !== undefined) return await this.#conclude(asked, { is: "declined", code: refusal });
    return await this.#send(asked);
  }

  #send(work: Work): Promise<Outcome> {
    switch (work.operation.kind) {
      case "authorize":
        return this.#authorize(work);
      case "capture":
        return this.#capture(work);
      case "void":
        return this.#void(work);
      case "refund":
        return this.#refund(work);
    }
  }

  /** Makes the payment, which holds nothing, and keeps its id; only then it is confirmed. */
  async #authorize(work: Work): Promise<Outcome> {
    const { requests, log } = this.#options;
    const { operation, authorization } = work;
    let { intentId } = authorization;
    if (intentId === "") {
      const made = await this.#make(work);
      if (made.said === "refused") return await this.#conclude(work, refusedWith(made.code));
      if (made.said === "failed") await this.#write(work, spent(operation));
      if (made.said !== "done") {
        log.warn("Stripe does not make a payment", { "operation.id": operation.key, err: made.error });
        return { state: "not_executed" };
      }
      intentId = made.value.id;
    }
    const sent = await this.#write(work, { state: "sent", stripeId: intentId }, { intentId });
    return await this.#answered(sent, await requests.confirm(intentId, keyOf(operation)));
  }

  /** The customer comes first: a payment method that a payment has used cannot be attached any more. */
  async #make({ operation, authorization }: Work): Promise<Answer<Stripe.PaymentIntent>> {
    const { customers, requests } = this.#options;
    const key = keyOf(operation);
    const customer = await customers.of(operation.cardToken, `${key}:customer`);
    if (customer.said !== "done") return customer;
    return await requests.create({ ...paramsOf(operation, authorization), customer: customer.value }, `${key}:create`);
  }

  async #capture(work: Work): Promise<Outcome> {
    const { operation, authorization } = work;
    const isLast = operation.final || operation.amount === leftOf(authorization) || !isInParts(authorization);
    const sent = await this.#write(work, { state: "sent", final: isLast, base: authorization.received });
    const params = {
      amount_to_capture: toStripeAmount(operation.currency, operation.amount) ?? 0,
      // The last one is by default; of what was authorized while the account captured once it must not be said.
      ...(!isLast && { final_capture: false }),
    };
    const answer = await this.#options.requests.capture(authorization.intentId, params, keyOf(operation));
    return await this.#answered(sent, answer);
  }

  /** A part is given free with the last operation of its authorization: Stripe cannot do it before. */
  async #void(work: Work): Promise<Outcome> {
    const { requests } = this.#options;
    const { operation, authorization } = work;
    const { captures, intentId } = authorization;
    const isLast = operation.final || operation.amount === leftOf(authorization);
    if (!isLast) return await this.#conclude(work, { is: "approved" });
    const sent = await this.#write(work, { state: "sent", final: true });
    const key = keyOf(operation);
    const answer =
      captures === 0
        ? await requests.cancel(intentId, {}, key)
        : await requests.capture(intentId, { amount_to_capture: 0, final_capture: true }, key);
    return await this.#answered(sent, answer);
  }

  async #refund(work: Work): Promise<Outcome> {
    const { operation, authorization } = work;
    const { key, currency, amount } = operation;
    const sent = await this.#write(work, { state: "sent" });
    const params = {
      payment_intent: authorization.intentId,
      amount: toStripeAmount(currency, amount) ?? 0,
      metadata: { key },
    };
    const answer = await this.#options.requests.refund(params, keyOf(operation));
    if (answer.said !== "done") return await this.#unanswered(sent, answer);
    const judgement = judgeRefund(answer.value);
    if (judgement.is !== "processing") return await this.#conclude(sent, judgement);
    await this.#write(sent, { stripeId: answer.value.id });
    return { state: "processing" };
  }

  async #answered(work: Work, answer: Answer<Stripe.PaymentIntent>): Promise<Outcome> {
    if (answer.said !== "done") return await this.#unanswered(work, answer);
    const judgement = judge(work, answer.value);
    if (judgement.is !== "unchanged") return await this.#conclude(work, judgement);
    return { state: "undetermined" };
  }

  async #unanswered(work: Work, answer: Exclude<Answer<never>, { said: "done" }>): Promise<Outcome> {
    const { operations, log } = this.#options;
    const { key, kind } = work.operation;
    if (answer.said === "refused") return await this.#conclude(work, refusedWith(answer.code));
    log.warn("Stripe does not say that it did what it was asked", { "operation.id": key, kind, err: answer.error });
    if (answer.said === "unsent") {
      await this.#write(work, { state: "begun" });
      return { state: "not_executed" };
    }
    if (answer.said === "lost") {
      await operations.touch(key);
      return { state: "undetermined" };
    }
    const known = await this.#write(work, spent(work.operation));
    return answer.said === "misplaced"
      ? await this.#conclude(known, await this.#look(known))
      : { state: "undetermined" };
  }

  /** Writes down what came of an operation. */
  async #conclude(work: Work, judgement: Judgement | undefined): Promise<Outcome> {
    switch (judgement?.is) {
      case "approved":
        return await this.#approve(work, judgement);
      case "declined":
        return await this.#decide(work, { state: "declined", code: outsideText(judgement.code, 64) });
      case "requires_action":
        return await this.#decide(work, { state: "requires_action" });
      case "unwanted":
        return await this.#undo(work, judgement.code);
      case "processing":
        await this.#options.operations.touch(work.operation.key);
        return { state: "processing" };
      case "unclear":
        this.#complain(work);
    }
    return { state: "undetermined" };
  }

  #complain({ operation }: Work): void {
    const { metrics, log } = this.#options;
    metrics.unclear();
    const message = "what Stripe shows of a payment does not come of what it was asked: somebody else has changed it";
    log.error(message, { "operation.id": operation.key, kind: operation.kind });
  }

  /** What is held of an authorization that cannot be used is given free before it is refused. */
  async #undo(work: Work, code: string): Promise<Outcome> {
    const { operation, authorization } = work;
    const noted = await this.#write(work, { code });
    const params = { cancellation_reason: "abandoned" } as const;
    const { said } = await this.#options.requests.cancel(authorization.intentId, params, `${keyOf(operation)}:undo`);
    if (said === "done") return await this.#conclude(noted, refusedWith(code));
    if (said === "failed") await this.#write(noted, spent(operation));
    return { state: "undetermined" };
  }

  async #approve(work: Work, { stripeId, holdExpireTime, received }: Judgement & { is: "approved" }): Promise<Outcome> {
    const { operation, authorization } = work;
    const moved = movedBy(operation, authorization);
    return await this.#decide(
      work,
      { state: "approved", code: "", stripeId: stripeId ?? operation.stripeId, holdExpireTime },
      { ...moved, ...(received !== undefined && { received }) },
    );
  }

  async #decide(work: Work, change: Partial<Operation>, moved: Partial<Authorization> = {}): Promise<Outcome> {
    const { operation } = await this.#write(work, change, moved);
    return outcomeOf(operation) ?? { state: "undetermined" };
  }

  /** @throws LeaseLost */
  async #write(work: Work, change: Partial<Operation>, moved: Partial<Authorization> = {}): Promise<Work> {
    const operation = { ...work.operation, ...change };
    const authorization = { ...work.authorization, ...moved };
    await this.#options.operations.write(work.lease, operation, authorization);
    return { lease: work.lease, operation, authorization };
  }
}

/** Whether an authorization may be captured more than once: as when it was asked for, whatever the account can since. */
function isInParts({ maxCaptures }: Authorization): boolean {
  return maxCaptures > 1;
}

function judge(
  { operation, authorization }: Pick<Work, "operation" | "authorization">,
  intent: Stripe.PaymentIntent,
): Judgement {
  if (operation.kind === "authorize") return judgeAuthorization(intent, { operation, parts: isInParts(authorization) });
  return operation.kind === "capture" ? judgeCapture(intent, operation) : judgeVoid(intent);
}

function paramsOf(
  { key, orderId, cardToken, currency, amount }: Operation,
  authorization: Authorization,
): Parameters<StripeRequests["create"]>[0] {
  const card = isInParts(authorization) ? { request_multicapture: "if_available" as const } : undefined;
  return {
    amount: toStripeAmount(currency, amount) ?? 0,
    currency: currency.toLowerCase(),
    capture_method: "manual",
    allowed_payment_method_types: ["card"],
    payment_method: cardToken,
    metadata: { key, ...(orderId && { order_id: orderId }) },
    ...(card && { payment_method_options: { card } }),
  };
}

/** What an operation that has its effect changes of its authorization. */
function movedBy({ kind, amount, final }: Operation, authorization: Authorization): Partial<Authorization> {
  const { captured, voided, refunded, captures } = authorization;
  if (kind === "capture") {
    const taken = captured + amount;
    return { captured: taken, captures: captures + 1, ...(final && { voided: authorization.amount - taken }) };
  }
  if (kind === "void") return { voided: final ? authorization.amount - captured : voided + amount };
  return kind === "refund" ? { refunded: refunded + amount } : {};
}

/**
 * The idempotency key that an operation is sent under: the same one until Stripe has answered under it, however often it is sent. A request that arrives
 * late, when it is long taken for lost, has no second effect then.
 */
function keyOf({ key, spentKeys }: Operation): string {
  return spentKeys === 0 ? key : `${key}:${spentKeys}`;
}

/** What Stripe has answered under a key, it answers for a day: another try needs another one. */
function spent({ spentKeys }: Operation): Pick<Operation, "spentKeys"> {
  return { spentKeys: spentKeys + 1 };
}
