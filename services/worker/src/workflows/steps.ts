import { BatchCalls } from "./engine/batch-calls.ts";
import type { EpisodeOptions } from "./engine/options.ts";
import type { Step } from "./engine/saga.ts";
import type { Allocation } from "./order/order-types.ts";
import { planParcels } from "./order/parcel-plan.ts";
import type { OrderRun, Parcel, TakenBack } from "./order-run.ts";
import type { CarriedOrder, Checkout, ParcelState } from "./order-state.ts";
import { type Again, type SettleInput, type StepName, type StepTypes, steps } from "./step-table.ts";

type Calls = BatchCalls<StepTypes>;

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
  return {
    reserve: ofOrder("reserveStock", ({ order }) => reserve.ask({ orderId: order.orderId, lines: wantedBy(order) })),
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
  const authorize = calls.of("authorizePayment");
  const voiding = calls.of("voidPayment");
  const capture = calls.of("capturePayment");
  const refund = calls.of("refundPayment");
  const refundReturn = calls.of("refundReturn");
  return {
    authorize: ofOrder("authorizePayment", ({ order }) => {
      const { orderId, customerId, total: amount } = order;
      return authorize.ask({ orderId, customerId, amount, cardToken: checkoutOf(order).cardToken });
    }),
    void: ofOrder("voidPayment", ({ order }, again) => voiding.ask({ orderId: order.orderId, ...anew(again) })),
    capture: done(ofParcel("capturePayment", (parcel, again) => capture.ask({ ...partOf(parcel), ...anew(again) }))),
    voidPart: done(ofParcel("voidPayment", (parcel, again) => voiding.ask({ ...partOf(parcel), ...anew(again) }))),
    refundPart: done(ofParcel("refundPayment", (parcel, again) => refund.ask({ ...partOf(parcel), ...anew(again) }))),
    /** Pays back what came back. */
    repay: {
      ...done(
        ofReturn("refundReturn", ({ order: { orderId, total }, returnId, amount, grantedBy }, again) => {
          const money = { currency: total.currency, amount };
          return refundReturn.ask({
            orderId,
            returnId,
            amount: money,
            ...(grantedBy && { grantedBy }),
            ...anew(again),
          });
        }),
      ),
      turnedDown: new Set(["REFUND_NOT_APPROVED"]),
    },
  };
}

function orderSteps(calls: Calls) {
  const screen = calls.of("screenOrder");
  const confirm = calls.of("confirmOrder");
  const complete = calls.of("completeReturn");
  const settle = calls.of("settleOrder");
  return {
    /** Asks whether the order may go on. What it finds it keeps, so that it is found again, and what a person decided is its answer. */
    screen: ofOrder("screenOrder", ({ order: { orderId } }) => screen.ask({ orderId })),
    /**
     * The pivot: makes the hold firm and the order CONFIRMED; see its row. Answers the parcels, which follow from what is
     * firm, whatever was reserved. A cancellation does not interrupt it: it takes effect at the next step.
     */
    confirm: ofOrder("confirmOrder", async ({ order }): Promise<ParcelState[]> => {
      const { orderId, total } = order;
      return planned(order, await confirm.askToTheEnd({ orderId, lines: checkoutOf(order).lines, total }));
    }),
    /** Notes that stock and money of a return are back. */
    complete: ofReturn("completeReturn", ({ order: { orderId }, returnId, isRefused }) =>
      complete.ask({ orderId, returnId, ...(isRefused && { rejected: true }) }),
    ),
    /** Ends an order's part in the episode. */
    settle: (input: SettleInput) => settle.askToTheEnd(input),
  };
}

function parcelSteps(calls: Calls) {
  const create = calls.of("createShipment");
  const book = calls.of("requestBooking");
  const cancel = calls.of("cancelShipment");
  return {
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

function ofOrder<O>(step: StepName, ask: Step<OrderRun, O>["ask"]): Step<OrderRun, O> {
  return { name: () => steps[step].label, ask };
}

function ofParcel<O>(step: StepName, ask: Step<Parcel, O>["ask"]): Step<Parcel, O> {
  return { name: ({ locationId }) => `${steps[step].label}:${locationId}`, ask };
}

function ofReturn<O>(step: StepName, ask: Step<TakenBack, O>["ask"]): Step<TakenBack, O> {
  return { name: ({ returnId }) => `${steps[step].label}:${returnId}`, ask };
}

/** A step that an operator may declare done. */
function done<I>(step: Step<I, null>): Step<I, null> {
  return { ...step, resolved: () => null };
}

/** The callee remembers its answer by the request id: asked anew after a refusal, the step needs another one. */
function anew(again: number): Again {
  return again > 0 ? { again } : {};
}

function refOf({ order, locationId }: Parcel) {
  return { orderId: order.orderId, locationId };
}

function partOf(parcel: Parcel) {
  return { ...refOf(parcel), amount: { currency: parcel.order.total.currency, amount: parcel.amount } };
}

/** @throws TypeError when orders forgot it: until the shipments are created, an order cannot be without */
function checkoutOf({ orderId, checkout }: CarriedOrder): Checkout {
  if (!checkout) throw new TypeError(`order ${orderId} came without its checkout`);
  return checkout;
}

function wantedBy(order: CarriedOrder): { sku: string; quantity: number }[] {
  return checkoutOf(order).lines.map(({ sku, quantity }) => ({ sku, quantity }));
}

function planned(order: CarriedOrder, allocations: Allocation[]): ParcelState[] {
  const { lines } = checkoutOf(order);
  return planParcels({ lines, total: order.total }, allocations).map(({ status, ...parcel }) => ({
    ...parcel,
    stage: status,
  }));
}
