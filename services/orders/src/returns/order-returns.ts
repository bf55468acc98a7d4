import { type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { orderNotFound } from "../order/errors.ts";
import type { Money } from "../order/order.ts";
import { returnEntry } from "../order/order-audit.ts";
import { notReturnable, refundTooLarge, returnNotFound, withheldTooMuch } from "./errors.ts";
import type { LockedOrder, OrderReturnRepository, SavedReturn } from "./order-return.repository.ts";
import { hasCome, isExpected, type OrderReturn, type ReturnLine, type ReturnReason } from "./order-return.ts";
import { newExchange, settledExchange, type WantedExchange } from "./return-exchange.ts";
import type { ReturnMetrics } from "./return-metrics.ts";
import { awaitsNumber, illegalMove, moved, newReturn, withLabel, withoutExchange } from "./return-moves.ts";
import type { ReturnPolicy } from "./return-policy.ts";
import { type LineQuantity, lesser, type PricedQuantity, Returnable } from "./returnable.ts";

/** What a customer, or an agent for him, wants to send back. */
export interface RequestReturn extends Keyed {
  readonly kind: "request";
  readonly orderId: string;
  readonly lines: readonly LineQuantity[];
  readonly reason: ReturnReason;
  readonly note: string;
  readonly despitePolicy: boolean;
  /** What is to be sent instead; undefined: it is paid back. */
  readonly exchange: WantedExchange | undefined;
}

/** What is decided about a return whose articles have not come. */
export interface DecideReturn extends Keyed {
  readonly kind: "decide";
  readonly orderId: string;
  readonly returnId: string;
  readonly to: "approved" | "rejected" | "cancelled";
  readonly trackingNumber: string;
  readonly answer: string;
}

/** An article that came. */
export interface CameLine extends LineQuantity {
  readonly restocked: number;
  readonly locationId: string;
}

/** What came. */
export interface ReceiveReturn extends Keyed {
  readonly kind: "receive";
  readonly orderId: string;
  /** Undefined: nobody had asked. */
  readonly returnId: string | undefined;
  readonly lines: readonly CameLine[];
  /** Of what nobody had asked for. */
  readonly reason: ReturnReason;
  /** Undefined: nothing. */
  readonly withheld: Money | undefined;
  readonly answer: string;
}

/** What is granted although nothing comes back. */
export interface GrantRefund extends Keyed {
  readonly kind: "grant";
  readonly orderId: string;
  readonly amount: Money;
  readonly reason: ReturnReason;
  readonly answer: string;
  /** Who grants it, as a credential has proved; empty where nobody is asked who calls. */
  readonly grantedBy: string;
}

/** What the carrier says of a label. */
export interface LabelReport {
  readonly orderId: string;
  readonly returnId: string;
  /** Empty: it makes none. */
  readonly trackingNumber: string;
  readonly label: string;
  /** Why there is none; empty when there is one. */
  readonly code: string;
}

/** What is done to returns by callers. */
export type ReturnCommand = RequestReturn | DecideReturn | ReceiveReturn | GrantRefund;

type Submitted = ReturnCommand & { readonly origin: AuditOrigin; readonly owner: string | undefined };

/** So many returns of an order may be under way, which is as many as an episode carries. */
const maxUnderWay = 20;

const methods = { approved: "ApproveReturn", rejected: "RejectReturn", cancelled: "CancelReturn" } as const;

const otherMethods = { request: "RequestReturn", receive: "ReceiveReturn", grant: "GrantRefund" } as const;

const keys: KeySpace<Submitted> = {
  method: (command) => {
    return command.kind === "decide" ? methods[command.to] : otherMethods[command.kind];
  },
  scope: (command) => (command.kind === "decide" ? `${command.orderId}/${command.returnId}` : command.orderId),
};

/** What returns work with. */
export interface OrderReturnsOptions {
  readonly database: Database;
  readonly repository: OrderReturnRepository;
  readonly policy: ReturnPolicy;
  readonly metrics: ReturnMetrics;
  /** Told how many orders are to be carried. */
  readonly onAccepted: (count: number) => void;
}

/** What a command is judged by: all of it read under the order's lock. */
interface Held {
  readonly order: LockedOrder;
  readonly returns: readonly OrderReturn[];
  readonly returnable: Returnable;
}

/** What a command comes to. */
interface Judged extends Pick<SavedReturn, "now" | "texts"> {
  readonly details: Readonly<Record<string, string>>;
}

/** Takes what is wanted of returns. Each is judged and written under the lock of its order's row, with its key and its row in the audit log. */
export class OrderReturns {
  readonly #options: OrderReturnsOptions;
  readonly #run: (commands: Submitted[]) => Promise<(string | Error)[]>;

  constructor(options: OrderReturnsOptions) {
    this.#options = options;
    this.#run = replayable<Submitted, string>({
      database: options.database,
      ...keys,
      run: (commands) => Promise.all(commands.map((command) => this.#runOne(command))),
      decode: (response) => response.toString(),
    });
  }

  /**
   * Does what a command says, for the only customer whose orders it may be about when there is one. Returns the return as it stands then.
   *
   * @throws ORDER_NOT_FOUND, RETURN_NOT_FOUND, NOT_RETURNABLE, ILLEGAL_RETURN_TRANSITION, WITHHELD_TOO_MUCH, CURRENCY_MISMATCH, CARD_NEEDED,
   * REQUEST_ID_REUSED
   */
  async do(command: ReturnCommand, owner: string | undefined): Promise<OrderReturn> {
    const [outcome] = await this.#run([{ ...command, owner, origin: auditOrigin(command.requestId) }]);
    if (outcome === undefined || outcome instanceof Error) throw outcome;
    return await this.get({ orderId: command.orderId, returnId: outcome }, owner);
  }

  /** @throws RETURN_NOT_FOUND */
  async get(ref: { orderId: string; returnId: string }, owner: string | undefined): Promise<OrderReturn> {
    const found = await this.#options.repository.find(ref.orderId, ref.returnId, owner);
    if (!found) throw returnNotFound(ref);
    return found;
  }

  /**
   * Notes that stock and money of a return are back, or that nobody has approved the refund.
   *
   * @throws RETURN_NOT_FOUND, ILLEGAL_RETURN_TRANSITION
   */
  async complete(
    ref: { readonly orderId: string; readonly returnId: string },
    to: "completed" | "rejected",
  ): Promise<void> {
    const { database, repository, metrics } = this.#options;
    const origin = auditOrigin();
    const ended = await database.transaction(async (tx) => {
      const order = await repository.lockOrder(tx, ref.orderId, undefined);
      const before = order && (await this.#find(tx, ref));
      if (!before) throw returnNotFound(ref);
      if (before.status === to) return undefined;
      // One that nobody has decided was not known to who gave the money back.
      const now = withoutExchange(moved(before, to), "NOT_MADE");
      const details = detailsOf(now);
      const audit = returnEntry({ action: to, ...ref, details, origin });
      const key = { method: "", requestId: "", fingerprint: Buffer.alloc(0) };
      await repository.save(tx, { now, isToBeCarried: false, texts: {}, audit, key });
      return { exchange: now.exchange === before.exchange ? undefined : now.exchange };
    });
    if (!ended) return;
    metrics.moved(to);
    metrics.exchanged(ended.exchange);
  }

  /**
   * Takes what the carrier says of a label. What waits for none any more, because somebody named a number or the parcel has come, stays as
   * it is.
   *
   * @throws RETURN_NOT_FOUND
   */
  async takeLabel(report: LabelReport): Promise<void> {
    const { database, repository, metrics } = this.#options;
    const { trackingNumber, label, code } = report;
    const origin = auditOrigin();
    const state = trackingNumber === "" ? "refused" : "made";
    const taken = await database.transaction(async (tx) => {
      const order = await repository.lockOrder(tx, report.orderId, undefined);
      const before = order && (await this.#find(tx, report));
      if (!before) throw returnNotFound(report);
      if (before.status !== "approved" || before.labelState !== "wanted") return false;
      const labelled = { trackingNumber, label, labelCode: code, labelState: state } as const;
      const now = { ...before, ...labelled, revision: before.revision + 1 };
      const { orderId, returnId } = report;
      const details: Record<string, string> = code === "" ? {} : { code };
      const audit = returnEntry({ action: `label_${state}`, orderId, returnId, details, origin });
      const key = { method: "", requestId: "", fingerprint: Buffer.alloc(0) };
      await repository.save(tx, { now, isToBeCarried: false, texts: {}, audit, key });
      return true;
    });
    if (taken) metrics.labelled(state);
  }

  async #find(tx: Transaction, ref: { orderId: string; returnId: string }): Promise<OrderReturn | undefined> {
    const all = await this.#options.repository.ofOrders([ref.orderId], tx);
    return all.find(({ returnId }) => returnId === ref.returnId);
  }

  async #runOne(command: Submitted): Promise<string | Error> {
    const { database, repository, metrics, onAccepted } = this.#options;
    const { orderId, owner, origin, requestId, fingerprint } = command;
    const outcome = await database.transaction(async (tx) => {
      const order = await repository.lockOrder(tx, orderId, owner);
      const missing = command.kind === "decide" ? returnNotFound(command) : orderNotFound(orderId);
      if (!order) return missing;
      const returns = await repository.ofOrders([orderId], tx);
      const judged = this.#judge(command, { order, returns, returnable: new Returnable(order, returns) });
      if (judged instanceof Error) return judged;
      const { now, texts, details } = judged;
      const { returnId, status } = now;
      const audit = returnEntry({ action: status, orderId, returnId, details, origin });
      const key = { method: keyMethod(keys, command), requestId, fingerprint };
      await repository.save(tx, { now, isToBeCarried: isToBeCarried(now), texts, audit, key });
      return now;
    });
    if (outcome instanceof Error) return outcome;
    metrics.moved(outcome.status);
    // Nothing is commanded of a return behind the decision about its exchange.
    metrics.exchanged(outcome.exchange);
    if (isToBeCarried(outcome)) onAccepted(1);
    return outcome.returnId;
  }

  #judge(command: Submitted, held: Held): Judged | Error {
    switch (command.kind) {
      case "request":
        return this.#request(command, held);
      case "decide":
        return decide(command, held);
      case "receive":
        return this.#receive(command, held);
      case "grant":
        return grant(command, held);
    }
  }

  #request(command: RequestReturn & Pick<Submitted, "owner">, held: Held): Judged | Error {
    const { order, returns, returnable } = held;
    const { orderId } = order;
    const refuse = mayNotAsk(command, held) ?? this.#policyRefusal(command, held);
    if (refuse) return refuse;
    const priced = returnable.price(command.lines);
    const amount = this.#payable(priced, command.reason);
    const estimate = { currency: order.total.currency, amount };
    const isApproved = command.despitePolicy || this.#options.policy.approves(estimate);
    const under = returns.filter(({ status }) => isExpected(status) || status === "received").length;
    if (under >= maxUnderWay) return notReturnable(orderId, { why: "TOO_MANY" });
    const lines = priced.map((line) => emptyLine(line, returnable.skuOf(line.lineNumber) ?? ""));
    const status = isApproved ? "approved" : "requested";
    const exchange = command.exchange && newExchange(command.exchange, orderId, estimate);
    if (exchange instanceof Error) return exchange;
    const asked = { ...newReturn(order, command.reason), status, lines, amount: estimate, exchange } as const;
    const now = isApproved ? withLabel(asked) : asked;
    const approvedBy: Record<string, string> = isApproved
      ? { approved_by: command.despitePolicy ? "agent" : "policy" }
      : {};
    return { now, texts: { note: command.note }, details: { ...detailsOf(now), ...approvedBy } };
  }

  #policyRefusal(command: RequestReturn & Pick<Submitted, "owner">, { order, returnable }: Held): Error | undefined {
    const { orderId, deliverTime, now } = order;
    if (command.despitePolicy) {
      return command.owner === undefined ? undefined : notReturnable(orderId, { why: "NOT_YOURS_TO_DECIDE" });
    }
    const skus = command.lines.map(({ lineNumber }) => returnable.skuOf(lineNumber) ?? "");
    const why = this.#options.policy.refusalOf(skus, deliverTime, now);
    return why && notReturnable(orderId, { why });
  }

  #receive(command: ReceiveReturn, held: Held): Judged | Error {
    const { order, returns, returnable } = held;
    const { orderId, returnId, withheld } = command;
    const before =
      returnId === undefined
        ? (announced(command, returns) ?? unasked(command, held))
        : returns.find((each) => each.returnId === returnId);
    if (!before) return returnNotFound({ orderId, returnId: returnId ?? "" });
    const illegal = illegalMove(before, "received");
    if (illegal) return illegal;
    const tooMany = exceeding(command, held, (lineNumber) => returnable.comeable(lineNumber));
    if (tooMany) return tooMany;
    if (returns.filter(({ status }) => status === "received").length >= maxUnderWay) {
      return notReturnable(orderId, { why: "TOO_MANY" });
    }
    const priced = returnable.price(command.lines);
    const cost = this.#payable(priced, before.reason);
    const payable = lesser(cost, returnable.refundable);
    const { currency } = order.total;
    if (withheld && (withheld.currency !== currency || withheld.amount > payable)) {
      return withheldTooMuch({ currency, amount: payable });
    }
    const kept = withheld?.amount ?? 0n;
    const now: SavedReturn["now"] = {
      ...before,
      status: "received",
      lines: cameLines(before.lines, command.lines, { priced, returnable }),
      amount: { currency, amount: payable - kept },
      withheld: kept,
      exchange: before.exchange && settledExchange(before.exchange, order.customerId, payable - kept),
      revision: before.revision + (returns.some((each) => each.returnId === before.returnId) ? 1 : 0),
    };
    return { now, texts: { answer: command.answer }, details: detailsOf(now) };
  }

  #payable(priced: readonly PricedQuantity[], reason: ReturnReason): bigint {
    const paysShipping = this.#options.policy.paysShipping(reason);
    return priced.reduce((sum, { amount, shipping }) => sum + amount - (paysShipping ? 0n : shipping), 0n);
  }
}

/** Whether there is something to do for the saga: stock and money go back, or the carrier is to make a label. */
function isToBeCarried({ status, labelState }: Pick<OrderReturn, "status" | "labelState">): boolean {
  return status === "received" || (status === "approved" && labelState === "wanted");
}

function mayNotAsk({ lines }: RequestReturn, held: Held): Error | undefined {
  const { order, returnable } = held;
  const { orderId } = order;
  if (!order.isLegacy && !returnable.isDelivered) return notReturnable(orderId, { why: "NOT_DELIVERED" });
  return exceeding({ lines }, held, (lineNumber) => returnable.askable(lineNumber));
}

function exceeding(
  { lines }: { readonly lines: readonly LineQuantity[] },
  { order }: Held,
  available: (lineNumber: number) => number,
): Error | undefined {
  if (order.isLegacy) return notReturnable(order.orderId, { why: "LEGACY" });
  const wrong = lines.find(({ lineNumber, quantity }) => quantity > available(lineNumber));
  if (!wrong) return undefined;
  const { lineNumber } = wrong;
  return notReturnable(order.orderId, { why: "QUANTITY", lineNumber, available: Math.max(0, available(lineNumber)) });
}

function decide({ orderId, returnId, to, trackingNumber, answer }: DecideReturn, { returns }: Held): Judged | Error {
  const before = returns.find((each) => each.returnId === returnId);
  if (!before) return returnNotFound({ orderId, returnId });
  const named = { ...before, trackingNumber: trackingNumber || before.trackingNumber };
  if (to === "approved" && trackingNumber !== "" && awaitsNumber(before)) {
    const now = { ...named, labelState: "", labelCode: "", revision: before.revision + 1 } as const;
    return { now, texts: { answer }, details: detailsOf(now) };
  }
  const illegal = illegalMove(before, to);
  if (illegal) return illegal;
  const decided = moved(named, to);
  const now = to === "approved" ? withLabel(decided) : withoutExchange(decided, `RETURN_${to.toUpperCase()}`);
  return { now, texts: { answer }, details: detailsOf(now) };
}

/** The return of a cancelled order's parcel that somebody received without having looked for it: all of it, and nothing else. */
function announced({ lines }: ReceiveReturn, returns: readonly OrderReturn[]): OrderReturn | undefined {
  const expected = returns.filter(({ kind, status }) => kind === "cancellation" && isExpected(status));
  return expected.find((each) => isSame(lines, each.lines));
}

/** What becomes of a parcel that nobody announced: as if it had been approved just now. It may be one that the carrier turns back. */
function unasked({ reason, lines }: ReceiveReturn, { order, returnable }: Held): SavedReturn["now"] {
  const turned = order.shipments.filter(({ status, turnBack }) => status === "shipped" && turnBack !== undefined);
  const parcel = turned.find(({ locationId }) => isSame(lines, returnable.heldBy(locationId)));
  const blank = { ...newReturn(order, reason), status: "approved" } as const;
  if (!parcel) return { ...blank, kind: "unasked" };
  return { ...blank, kind: "cancellation", reason: "unwanted", parcelLocationId: parcel.locationId };
}

function isSame(came: readonly LineQuantity[], wanted: readonly LineQuantity[]): boolean {
  const quantityOf = (lineNumber: number) => wanted.find((line) => line.lineNumber === lineNumber)?.quantity;
  return came.length === wanted.length && came.every((line) => quantityOf(line.lineNumber) === line.quantity);
}

function grant(
  { amount, reason, answer, grantedBy }: GrantRefund,
  { order, returns, returnable }: Held,
): Judged | Error {
  const { orderId, total } = order;
  if (order.isLegacy) return notReturnable(orderId, { why: "LEGACY" });
  if (returns.filter(({ status }) => status === "received").length >= maxUnderWay) {
    return notReturnable(orderId, { why: "TOO_MANY" });
  }
  const left = { currency: total.currency, amount: returnable.refundable };
  if (amount.currency !== total.currency || amount.amount > left.amount) return refundTooLarge(orderId, left);
  const now = { ...newReturn(order, reason), status: "received", kind: "goodwill", amount, grantedBy } as const;
  return { now, texts: { answer }, details: detailsOf(now) };
}

function emptyLine({ lineNumber, quantity, amount }: PricedQuantity, sku: string): ReturnLine {
  return { lineNumber, sku, quantity, received: 0, restocked: 0, locationId: "", amount };
}

/** What came of what was announced, and what came besides. What was announced and did not come costs nothing. */
function cameLines(
  announced: readonly ReturnLine[],
  came: readonly CameLine[],
  { priced, returnable }: { readonly priced: readonly PricedQuantity[]; readonly returnable: Returnable },
): ReturnLine[] {
  const isUnasked = announced.length === 0;
  const missing = announced
    .filter(({ lineNumber }) => !came.some((line) => line.lineNumber === lineNumber))
    .map((line) => ({ ...line, amount: 0n }));
  const lines = came.map(({ lineNumber, quantity, restocked, locationId }): ReturnLine => {
    const before = announced.find((line) => line.lineNumber === lineNumber);
    return {
      lineNumber,
      sku: before?.sku ?? returnable.skuOf(lineNumber) ?? "",
      quantity: before?.quantity ?? (isUnasked ? quantity : 0),
      received: quantity,
      restocked,
      locationId: restocked > 0 ? locationId : "",
      amount: priced.find((line) => line.lineNumber === lineNumber)?.amount ?? 0n,
    };
  });
  return [...missing, ...lines].sort((one, other) => one.lineNumber - other.lineNumber);
}

function detailsOf({ kind, reason, amount, withheld, status, lines }: SavedReturn["now"]): Record<string, string> {
  const pieces = lines.reduce((sum, line) => sum + (hasCome(status) ? line.received : line.quantity), 0);
  const kept: Record<string, string> = withheld > 0n ? { withheld: String(withheld) } : {};
  const { currency } = amount;
  return { kind, reason, currency, amount: String(amount.amount), pieces: String(pieces), ...kept };
}
