import { BatchCalls } from "./engine/batch-calls.ts";
import type { SagaOptions } from "./engine/options.ts";
import type { Step } from "./engine/saga.ts";
import type { Parcel } from "./order-run.ts";
import type { SagaOrder } from "./order-state.ts";
import {
  type Again,
  type OrderParcel,
  type StepName,
  type StepTypes,
  steps,
  type TransitionInput,
} from "./step-table.ts";

type Calls = BatchCalls<StepTypes>;
type OfOrder = { order: SagaOrder };

/** The steps of the saga, by whom they ask: each with its undo beside it. */
export type Steps = ReturnType<typeof openSteps>;

/** Makes the steps of one workflow. Calls of the same step, made in the same activation, go out as one batch. */
export function openSteps(options: SagaOptions, orders: SagaOrder[]) {
  const calls = new BatchCalls<StepTypes>(steps, options, orders);
  return {
    stock: stockSteps(calls, options),
    payments: paymentSteps(calls, options),
    orders: orderSteps(calls),
    parcels: parcelSteps(calls),
  };
}

function stockSteps(calls: Calls, { checkoutPatienceMs: parkMs }: SagaOptions) {
  const reserve = calls.of("reserveStock");
  const release = calls.of("releaseStock");
  const commit = calls.of("commitStock");
  return {
    reserve: {
      ...ofOrder("reserveStock", ({ order }) =>
        reserve.ask({
          orderId: order.orderId,
          lines: order.lines.map(({ sku, quantity }) => ({ sku, quantity })),
        }),
      ),
      parkMs,
    },
    release: ofOrder("releaseStock", ({ order }, again) => release.ask({ orderId: order.orderId, ...anew(again) })),
    commit: done(ofParcel("commitStock", (parcel, again) => commit.ask({ ...refOf(parcel), ...anew(again) }))),
    releasePart: done(ofParcel("releaseStock", (parcel, again) => release.ask({ ...refOf(parcel), ...anew(again) }))),
  };
}

function paymentSteps(calls: Calls, { checkoutPatienceMs: parkMs }: SagaOptions) {
  const authorize = calls.of("authorizePayment");
  const voiding = calls.of("voidPayment");
  const capture = calls.of("capturePayment");
  const refund = calls.of("refundPayment");
  return {
    authorize: {
      ...ofOrder("authorizePayment", ({ order }) => {
        const { orderId, customerId, total: amount, cardToken } = order;
        return authorize.ask({ orderId, customerId, amount, cardToken });
      }),
      parkMs,
    },
    void: ofOrder("voidPayment", ({ order }, again) => voiding.ask({ orderId: order.orderId, ...anew(again) })),
    capture: done(ofParcel("capturePayment", (parcel, again) => capture.ask({ ...partOf(parcel), ...anew(again) }))),
    voidPart: done(ofParcel("voidPayment", (parcel, again) => voiding.ask({ ...partOf(parcel), ...anew(again) }))),
    refundPart: done(ofParcel("refundPayment", (parcel, again) => refund.ask({ ...partOf(parcel), ...anew(again) }))),
  };
}

function orderSteps(calls: Calls) {
  const confirm = calls.of("confirmOrder");
  const transition = calls.of("transitionOrder");
  return {
    /**
     * The pivot: makes the hold firm and the order CONFIRMED; see its row. A cancellation does not interrupt it: it takes
     * effect at the next step.
     */
    confirm: done(
      ofOrder("confirmOrder", ({ order, parcels }: OfOrder & { parcels: Parcel[] }) =>
        confirm.askToTheEnd({ orderId: order.orderId, parcels: parcels.map(toOrderParcel) }),
      ),
    ),
    transition: done({
      name: ({ status }: TransitionInput) => status.toLowerCase(),
      ask: (input: TransitionInput) => transition.ask(input),
    }),
  };
}

function parcelSteps(calls: Calls) {
  const prepare = calls.of("prepareShipment");
  const book = calls.of("bookShipment");
  const cancel = calls.of("cancelShipment");
  const look = calls.of("lookShipment");
  return {
    /** Has the order PREPARING, then the parcel packed; see its row. */
    prepare: {
      ...ofParcel("prepareShipment", (parcel) =>
        prepare.ask({ ...refOf(parcel), lines: parcel.lines, address: parcel.order.address }),
      ),
      resolved: () => ({ shipmentId: "" }),
    },
    cancel: ofParcel("cancelShipment", (parcel, again) => cancel.ask({ ...refOf(parcel), ...anew(again) })),
    book: {
      ...ofParcel("bookShipment", (parcel) => book.ask(refOf(parcel))),
      resolved: () => ({ trackingNumber: "" }),
    },
    look,
  };
}

function ofOrder<I extends OfOrder, O>(step: StepName, ask: Step<I, O>["ask"]): Step<I, O> {
  return { name: () => steps[step].label, ask };
}

function ofParcel<O>(step: StepName, ask: Step<Parcel, O>["ask"]): Step<Parcel, O> {
  return { name: ({ locationId }) => `${steps[step].label}:${locationId}`, ask };
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

/** A parcel as the order shows it. */
export function toOrderParcel(parcel: Parcel): OrderParcel {
  const { order, locationId, shipmentId, trackingNumber, status, amount } = parcel;
  return { locationId, shipmentId, trackingNumber, status, amount: { currency: order.total.currency, amount } };
}
