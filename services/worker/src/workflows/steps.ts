import type { AmendmentRun, VoidedCharge } from "./amendment-run.ts";
import { BatchCalls } from "./engine/batch-calls.ts";
import { StepAway, StepRefused } from "./engine/failures.ts";
import type { EpisodeOptions } from "./engine/options.ts";
import type { Step } from "./engine/saga.ts";
import type { Allocation } from "./order/order-types.ts";
import { planParcels } from "./order/parcel-plan.ts";
import type { OrderRun, TakenBack } from "./order-run.ts";
import type { CarriedOrder, Charge, Checkout, ParcelState, WantedLabel } from "./order-state.ts";
import { type Parcel, toOrderParcel } from "./parcel.ts";
import {
  type Again,
  type ParcelFate,
  type SettleInput,
  type Short,
  type StepName,
  type StepTypes,
  steps,
} from "./step-table.ts";

type Calls = BatchCalls<StepTypes>;

/** A part of what a parcel costs, and which payment it is charged to. */
export interface ParcelCharge extends Charge {
  readonly parcel: Parcel;
}

/** What of a return is paid back from which payment. */
export interface Repayment extends Charge {
  readonly taken: TakenBack;
}

/** What of a return is credited to the order that is sent for it, of which payment. */
export interface ReturnCredit extends Charge {
  readonly taken: TakenBack;
  readonly creditedOrderId: string;
  /** Which of the credits of that order, from 0. */
  readonly credit: number;
}

/** An exchange that is to be decided. */
interface DecidedExchange {
  readonly taken: TakenBack;
  /** What is credited, credit by credit. */
  readonly credits: number[];
  /** Why not all of it is; empty: it is. */
  readonly failure: string;
}

/** An order of which something is missing. */
interface ShortOrder extends Short {
  readonly run: OrderRun;
}

/** A payment that was made for an amendment, or for a parcel of its own. */
interface FurtherPayment {
  readonly run: OrderRun;
  readonly payment: number;
}

/** A payment that is to be made for a parcel of its own. */
interface FurtherHold extends FurtherPayment {
  readonly amount: number;
}

/** A label that is wanted, together with its order. */
interface LabelOfOrder extends WantedLabel {
  readonly order: CarriedOrder;
  /** Of the parcel that left from there; absent: the first. */
  readonly generation?: number;
}

/** A parcel that an amendment concerns. */
interface AmendedParcel {
  readonly parcel: Parcel;
  readonly change: AmendmentRun;
}

/** The steps of the saga, by whom they ask: each with its undo beside it. */
export type Steps = ReturnType<typeof openSteps>;

/** Makes the steps of one workflow. Calls of the same step, made in the same activation, go out as one batch. */
export function openSteps(options: EpisodeOptions, orders: CarriedOrder[]) {
  const calls = new BatchCalls<StepTypes>(steps, options, orders);
  return {
    stock: stockSteps(calls),
    payments: paymentSteps(calls),
    orders: orderSteps(calls),
    parcels: parcelSteps(calls),
  };
}

function stockSteps(calls: Calls) {
  const reserve = calls.of("reserveStock");
  const release = calls.of("releaseStock");
  const commit = calls.of("commitStock");
  const restock = calls.of("restock");
  const amend = calls.of("amendStock");
  const end = calls.of("endStockAmendment");
  const endAs = (accepted: boolean) =>
    done(
      ofAmendment("endStockAmendment", (change, again) => end.ask({ ...numberOf(change), accepted, ...anew(again) })),
    );
  return {
    /** Takes what comes besides; what goes is given back by `trim`, when it is certain that it goes. */
    amend: ofAmendment("amendStock", (change, again) => {
      const lines = change.lines.map(({ sku, quantity }) => ({ sku, quantity }));
      return amend.ask({ ...numberOf(change), lines, fixed: change.fixedLocations, ...anew(again) });
    }),
    unamend: endAs(false),
    trim: endAs(true),
    reserve: ofOrder("reserveStock", ({ order }) => reserve.ask({ orderId: order.orderId, lines: wantedBy(order) })),
    /** The same for an order that gets what is there. What is missing is decided once: asked again, it is the same. */
    reservePart: ofOrder("reserveStock", ({ order }) =>
      reserve.ask({
        orderId: order.orderId,
        lines: wantedBy(order),
        partly: true,
        ...(order.checkout?.backOrder && { waits: true }),
      }),
    ),
    /** The same for an order that waits in turn when there is too little. Asked again it waits still, or has what it waited for. */
    reserveInTurn: ofOrder("reserveStock", ({ order }) =>
      reserve.ask({ orderId: order.orderId, lines: wantedBy(order), waits: true }),
    ),
    release: ofOrder("releaseStock", ({ order }, again) => release.ask({ orderId: order.orderId, ...anew(again) })),
    commit: done(ofParcel("commitStock", (parcel, again) => commit.ask({ ...refOf(parcel), ...anew(again) }))),
    releasePart: done(ofParcel("releaseStock", (parcel, again) => release.ask({ ...refOf(parcel), ...anew(again) }))),
    /** Puts on the shelf what came back. */
    restock: done(
      ofReturn("restock", ({ order: { orderId }, returnId, parts }, again) =>
        restock.ask({ orderId, returnId, parts, ...anew(again) }),
      ),
    ),
  };
}

function paymentSteps(calls: Calls) {
  const authorize = callOf(calls, "authorizePayment");
  const voiding = callOf(calls, "voidPayment");
  const capture = calls.of("capturePayment");
  const refund = calls.of("refundPayment");
  const refundReturn = calls.of("refundReturn");
  const repayRest = done(
    ofRepayment("refundReturn", ({ taken: { order, returnId, grantedBy }, payment, amount }, again) =>
      refundReturn.ask({
        orderId: order.orderId,
        returnId,
        ...(payment > 0 && { payment }),
        amount: { currency: order.total.currency, amount },
        ...(grantedBy && { grantedBy }),
        ...anew(again),
      }),
    ),
  );
  return {
    ...creditSteps(calls),
    ...orderPayments(authorize, voiding),
    capture: done(ofCharge("capturePayment", (charge, again) => capture.ask({ ...partOf(charge), ...anew(again) }))),
    /** Of what is captured once nothing else can use what it holds: all of it is given up. */
    voidPart: done(
      ofCharge("voidPayment", (charge, again) => {
        const { amount, ...part } = partOf(charge);
        return voiding.ask({ ...part, ...(charge.held === undefined && { amount }), ...anew(again) });
      }),
    ),
    refundPart: done(ofCharge("refundPayment", (charge, again) => refund.ask({ ...partOf(charge), ...anew(again) }))),
    /** Pays back what came back; nobody need approve what somebody grants. */
    repay: { ...repayRest, turnedDown: new Set(["REFUND_NOT_APPROVED"]) },
    /** The same from further payments, when a part of it is paid already. */
    repayRest,
    ...amendedPayments(authorize, voiding),
  };
}

/** What is held for an order, and given up. */
function orderPayments(
  authorize: ReturnType<typeof callOf<"authorizePayment">>,
  voiding: ReturnType<typeof callOf<"voidPayment">>,
) {
  return {
    authorize: ofOrder("authorizePayment", ({ order, due, shares }) => {
      const { orderId, customerId, total } = order;
      const amount = { currency: total.currency, amount: due };
      const { cardToken } = checkoutOf(order);
      const parcels = shares.length > 1 && { parcels: shares.map((share) => share.amount) };
      return authorize.ask({ orderId, customerId, amount, cardToken, ...parcels });
    }),
    /** Authorizes what nothing is held for, because a parcel leaves from elsewhere than was known. */
    hold: {
      name: ({ payment }: FurtherHold) => `${steps.authorizePayment.label}~${payment}`,
      ask: ({ run: { order }, payment, amount: due }: FurtherHold) => {
        const { orderId, customerId, total } = order;
        const amount = { currency: total.currency, amount: due };
        const { cardToken } = checkoutOf(order);
        return authorize.ask({ orderId, customerId, amount, cardToken, payment, singleCapture: true });
      },
    },
    void: ofOrder("voidPayment", ({ order }, again) =>
      voiding.ask({ orderId: order.orderId, beside: true, ...anew(again) }),
    ),
  };
}

/** What exchanges ask of the payments. */
function creditSteps(calls: Calls) {
  const credit = calls.of("creditReturn");
  const giveBack = calls.of("giveBackCredit");
  const refOfCredit = ({ taken: { order, returnId }, creditedOrderId, credit: index }: ReturnCredit) => ({
    orderId: order.orderId,
    returnId,
    creditedOrderId,
    credit: index,
  });
  return {
    /** Credits a part of what came back to the order that is sent for it. There is one already where nobody remembers that it was asked for. */
    credit: ofCredit("creditReturn", async (each): Promise<null> => {
      const { taken, payment, amount } = each;
      const { customerId, total } = taken.order;
      const asked = { customerId, amount: { currency: total.currency, amount }, ...(payment > 0 && { payment }) };
      try {
        return await credit.ask({ ...refOfCredit(each), ...asked });
      } catch (cause) {
        if (cause instanceof StepRefused && cause.refusal.reason === "PAYMENT_ID_TAKEN") return null;
        throw cause;
      }
    }),
    /** Pays back to the card what was credited to an order that there never will be. Resolved, it is paid back by other means. */
    giveBack: done(ofCredit("giveBackCredit", (each, again) => giveBack.ask({ ...refOfCredit(each), ...anew(again) }))),
  };
}

/** What amendments ask of the payments. */
function amendedPayments(
  authorize: ReturnType<typeof callOf<"authorizePayment">>,
  voiding: ReturnType<typeof callOf<"voidPayment">>,
) {
  return {
    /** Authorizes what the order will cost more: a payment of its own, beside the order's. */
    authorizeMore: ofAmendment("authorizePayment", ({ order, amendment, plan }) => {
      const { orderId, customerId, total } = order;
      const amount = { currency: total.currency, amount: plan.more };
      const { cardToken, number: payment } = amendment;
      const parcels = plan.holds.length > 1 && { parcels: plan.holds.map((hold) => hold.amount) };
      const held = plan.holds.length > 0 && { singleCapture: true, ...parcels };
      return authorize.ask({ orderId, customerId, amount, cardToken, payment, ...held });
    }),
    voidMore: ofAmendment("voidPayment", ({ order, amendment }, again) =>
      voiding.ask({ orderId: order.orderId, payment: amendment.number, beside: true, ...anew(again) }),
    ),
    voidFurther: done({
      name: ({ payment }: FurtherPayment) => `${steps.voidPayment.label}~${payment}`,
      ask: ({ run, payment }: FurtherPayment, again: number) =>
        voiding.ask({ orderId: run.order.orderId, ...(payment > 0 && { payment }), ...anew(again) }),
    }),
    /** Gives up what the order costs less, of one payment. */
    voidLess: done({
      name: ({ change, payment }: VoidedCharge) => `${steps.voidPayment.label}~${change.amendment.number}/${payment}`,
      ask: ({ change, payment, amount, held }: VoidedCharge, again: number) =>
        voiding.ask({
          ...numberOf(change),
          ...(held === undefined && { amount: { currency: change.order.total.currency, amount } }),
          ...(payment > 0 && { payment }),
          ...anew(again),
        }),
    }),
  };
}

function callOf<N extends StepName>(calls: Calls, name: N) {
  return calls.of(name);
}

function orderSteps(calls: Calls) {
  const screen = calls.of("screenOrder");
  const confirm = calls.of("confirmOrder");
  const cut = calls.of("cutOrder");
  const settle = calls.of("settleOrder");
  const decide = calls.of("decideAmendment");
  return {
    /** The pivot of an amendment: the order is what it asks for, at once. A cancellation does not interrupt it. */
    amend: ofAmendment("decideAmendment", (change): Promise<null> => {
      const { parcels, partly } = change.plan;
      const shown = parcels.map((parcel) => toOrderParcel(parcel, change.order.total.currency));
      return decide.askToTheEnd({ ...numberOf(change), parcels: shown, ...(partly && { partly }) });
    }),
    /**
     * Says that an amendment does not happen. When it has, by a run that was taken for lost, nothing of it is undone: another episode
     * finds it accepted.
     */
    refuse: ofAmendment("decideAmendment", async (change): Promise<null> => {
      try {
        return await decide.askToTheEnd({ ...numberOf(change), failure: change.failure });
      } catch (cause) {
        if (!(cause instanceof StepRefused) || cause.refusal.reason !== "AMENDMENT_DECIDED") throw cause;
        throw new StepAway(steps.decideAmendment.callee, cause.message);
      }
    }),
    /** Asks whether the order may go on. What it finds it keeps, so that it is found again, and what a person decided is its answer. */
    screen: ofOrder("screenOrder", ({ order: { orderId } }) => screen.ask({ orderId })),
    /** Takes out of the order what is missing of it, before it is charged. */
    cut: {
      name: () => steps.cutOrder.label,
      ask: ({ run, missing }: ShortOrder) => cut.ask({ orderId: run.order.orderId, missing }),
    },
    /**
     * The pivot: makes the hold firm and the order CONFIRMED; see its row. Answers the parcels, which follow from what is
     * firm, whatever was reserved. A cancellation does not interrupt it: it takes effect at the next step.
     */
    confirm: ofOrder("confirmOrder", async ({ order, isFollowed }): Promise<ParcelState[]> => {
      const { orderId, total } = order;
      const { lines } = checkoutOf(order);
      const input = { orderId, lines, total, ...(isFollowed && { followed: true }) };
      return planned(order, await confirm.askToTheEnd(input));
    }),
    ...returnSteps(calls),
    ...fateSteps(calls),
    /** Ends an order's part in the episode. */
    settle: (input: SettleInput) => settle.askToTheEnd(input),
  };
}

/** What orders is told of what came back. */
function returnSteps(calls: Calls) {
  const exchange = calls.of("exchangeReturn");
  const complete = calls.of("completeReturn");
  return {
    /** Has the order placed that is sent for what came back, or says that it cannot be. */
    exchange: {
      name: ({ taken: { returnId } }: DecidedExchange) => `${steps.exchangeReturn.label}:${returnId}`,
      ask: ({ taken: { order, returnId }, credits, failure }: DecidedExchange, again: number) =>
        exchange.ask({ orderId: order.orderId, returnId, credits, ...(failure && { failure }), ...anew(again) }),
    },
    /** Notes that stock and money of a return are back. */
    complete: ofReturn("completeReturn", ({ order: { orderId }, returnId, isRefused }) =>
      complete.ask({ orderId, returnId, ...(isRefused && { rejected: true }) }),
    ),
  };
}

/** What orders is told of parcels that do not simply arrive. */
function fateSteps(calls: Calls) {
  const resolve = calls.of("resolveParcel");
  const ask = (fate: ParcelFate) => (parcel: Parcel, again: number) =>
    resolve.ask({ ...refOf(parcel), fate, ...anew(again) });
  const returned = (fate: ParcelFate): Step<Parcel, string> => ({
    name: ({ locationId }) => `${fate === "CAME_BACK" ? "receive" : "announce"}:${locationId}`,
    ask: async (parcel, again) => (await ask(fate)(parcel, again)).returnId,
  });
  return {
    /** Has what a parcel holds announced to come back; answers the return, empty when nothing of it is to. */
    announce: returned("TO_BE_RETURNED"),
    /** Has what a parcel held received: it is back. */
    receive: returned("CAME_BACK"),
    /** Has a parcel written down as lost; answers what of it is to be paid back. */
    lose: {
      name: ({ locationId }: Parcel) => `lose:${locationId}`,
      ask: async (parcel: Parcel, again: number) => (await ask("LOST")(parcel, again)).refund,
    },
  };
}

function parcelSteps(calls: Calls) {
  const create = calls.of("createShipment");
  const book = calls.of("requestBooking");
  const cancel = calls.of("cancelShipment");
  const takeBack = calls.of("takeBackShipment");
  const label = calls.of("requestLabel");
  return {
    /** Calls a parcel off that is to be packed otherwise, unless it is packed already. */
    takeBack: ofAmended(({ parcel }, again) => takeBack.ask({ ...refOf(parcel), ...anew(again) })),
    /** Has it packed as it was: another one, because what was called off is not taken up again. Of one that was packed nothing is to be undone. */
    packAnew: ofAmended(async ({ parcel, change }, again): Promise<null> => {
      try {
        await takeBack.ask({ ...refOf(parcel), ...anew(again) });
      } catch (cause) {
        if (cause instanceof StepRefused) return null;
        throw cause;
      }
      delete parcel.news;
      Object.assign(parcel, { stage: "PLANNED", generation: change.amendment.number, shipmentId: "" });
      return null;
    }),
    /** Has the parcel packed, which takes its time: shipping tells when it is. Resolved, it leaves by other means. */
    create: {
      ...ofParcel("createShipment", async (parcel, again): Promise<Partial<ParcelState>> => {
        const { lines = [], order } = parcel;
        const { address } = checkoutOf(order);
        const { shipmentId } = await create.ask({ ...refOf(parcel), ...anew(again), lines, address });
        return { shipmentId, stage: "PACKING" };
      }),
      resolved: (): Partial<ParcelState> => ({ stage: "TAKEN" }),
    },
    cancel: ofParcel("cancelShipment", (parcel, again) => cancel.ask({ ...refOf(parcel), ...anew(again) })),
    ...recallSteps(calls),
    /** Has the carrier asked for the label of a return. Resolved, the customer has one by other means. */
    label: done({
      name: ({ returnId }: LabelOfOrder) => `${steps.requestLabel.label}:${returnId}`,
      ask: ({ order: { orderId }, ...wanted }: LabelOfOrder, again: number) =>
        label.ask({ orderId, ...wanted, ...anew(again) }),
    }),
    /** Hands the parcel to the carrier; when that takes its time, shipping tells how it went. */
    book: {
      ...ofParcel("requestBooking", async (parcel, again): Promise<Partial<ParcelState>> => {
        const booking = await book.ask({ ...refOf(parcel), ...anew(again) });
        return booking === "pending" ? { stage: "BOOKING" } : { ...booking, stage: "TAKEN" };
      }),
      resolved: (): Partial<ParcelState> => ({ stage: "TAKEN" }),
      turnedDown: new Set(["CARRIER_REFUSED", "PACKING_FAILED", "SHIPMENT_CANCELLED"]),
    },
  };
}

/** What shipping is asked about parcels of an order that is cancelled when others have left. */
function recallSteps(calls: Calls) {
  const cancel = calls.of("cancelShipment");
  const turnBack = calls.of("turnBackShipment");
  return {
    /** Calls it off while it is here; the carrier may have it, by a run that was lost. Resolved, it is off. */
    callOff: {
      ...ofParcel("cancelShipment", async (parcel, again): Promise<"off" | "shipped"> => {
        try {
          await cancel.ask({ ...refOf(parcel), ...anew(again) });
          return "off";
        } catch (cause) {
          if (cause instanceof StepRefused && cause.refusal.reason === "ALREADY_SHIPPED") return "shipped";
          throw cause;
        }
      }),
      resolved: () => "off" as const,
    },
    /** Has the carrier asked to bring it back. Resolved, it does not: what it holds is to be returned. */
    turnBack: {
      ...ofParcel("turnBackShipment", (parcel, again) => turnBack.ask({ ...refOf(parcel), ...anew(again) })),
      resolved: () => "REFUSED" as const,
    },
  };
}

function ofOrder<O>(step: StepName, ask: Step<OrderRun, O>["ask"]): Step<OrderRun, O> {
  return { name: () => steps[step].label, ask };
}

function ofAmendment<O>(step: StepName, ask: Step<AmendmentRun, O>["ask"]): Step<AmendmentRun, O> {
  return { name: ({ amendment }) => `${steps[step].label}~${amendment.number}`, ask };
}

function ofAmended(ask: Step<AmendedParcel, null>["ask"]): Step<AmendedParcel, null> {
  const { label } = steps.takeBackShipment;
  return { name: ({ parcel, change }) => `${label}:${parcel.locationId}~${change.amendment.number}`, ask };
}

function ofCharge<O>(step: StepName, ask: Step<ParcelCharge, O>["ask"]): Step<ParcelCharge, O> {
  const name = ({ parcel, payment }: ParcelCharge) =>
    `${steps[step].label}:${parcel.locationId}${payment ? `/${payment}` : ""}`;
  return { name, ask };
}

function ofParcel<O>(step: StepName, ask: Step<Parcel, O>["ask"]): Step<Parcel, O> {
  return { name: ({ locationId }) => `${steps[step].label}:${locationId}`, ask };
}

function ofReturn<O>(step: StepName, ask: Step<TakenBack, O>["ask"]): Step<TakenBack, O> {
  return { name: ({ returnId }) => `${steps[step].label}:${returnId}`, ask };
}

function ofRepayment<O>(step: StepName, ask: Step<Repayment, O>["ask"]): Step<Repayment, O> {
  return { name: ({ taken, payment }) => `${steps[step].label}:${taken.returnId}${payment ? `/${payment}` : ""}`, ask };
}

function ofCredit<O>(step: StepName, ask: Step<ReturnCredit, O>["ask"]): Step<ReturnCredit, O> {
  const name = ({ taken, credit }: ReturnCredit) =>
    `${steps[step].label}${credit ? `/${credit}` : ""}:${taken.returnId}`;
  return { name, ask };
}

/** A step that an operator may declare done. */
function done<I>(step: Step<I, null>): Step<I, null> {
  return { ...step, resolved: () => null };
}

/** The callee remembers its answer by the request id: asked anew after a refusal, the step needs another one. */
function anew(again: number): Again {
  return again > 0 ? { again } : {};
}

function refOf({ order, locationId, generation = 0 }: Parcel) {
  return { orderId: order.orderId, locationId, ...(generation > 0 && { generation }) };
}

function numberOf({ order, amendment }: AmendmentRun) {
  return { orderId: order.orderId, number: amendment.number };
}

function partOf({ parcel, payment, amount }: ParcelCharge) {
  const { currency } = parcel.order.total;
  return { ...refOf(parcel), amount: { currency, amount }, ...(payment > 0 && { payment }) };
}

/** @throws TypeError when orders forgot it: until the shipments are created, an order cannot be without */
function checkoutOf({ orderId, checkout }: CarriedOrder): Checkout {
  if (!checkout) throw new TypeError(`order ${orderId} came without its checkout`);
  return checkout;
}

/** Stock is asked for by the same words as the first time, whatever has become of the order by that. */
function wantedBy(order: CarriedOrder): { sku: string; quantity: number }[] {
  const { lines, asked = lines } = checkoutOf(order);
  return asked.map(({ sku, quantity }) => ({ sku, quantity }));
}

function planned(order: CarriedOrder, allocations: Allocation[]): ParcelState[] {
  const { lines } = checkoutOf(order);
  return planParcels({ lines, total: order.total }, allocations).map(({ status, ...parcel }) => ({
    ...parcel,
    stage: status,
  }));
}
