import { ListCalls } from "./engine/batch-calls.ts";
import type { Coalescer } from "./engine/coalesce.ts";
import type { Step } from "./engine/saga.ts";
import type { Parcel } from "./order-run.ts";
import type { SagaOptions, SagaOrder } from "./order-state.ts";
import type { Again, OrderParcel, TransitionInput } from "./step-table.ts";

type OfOrder = { order: SagaOrder };

/** The steps of the saga, by whom they ask: each with its undo beside it. */
export type Steps = ReturnType<typeof openSteps>;

/** Makes the steps of one workflow. Calls of the same step, made in the same activation, go out as one list. */
export function openSteps(options: SagaOptions, orders: SagaOrder[]) {
  const calls = new ListCalls(options, orders);
  return {
    stock: stockSteps(calls, options),
    payments: paymentSteps(calls, options),
    orders: orderSteps(calls),
    parcels: parcelSteps(calls),
  };
}

function stockSteps(calls: ListCalls, { checkoutPatienceMs: parkMs }: SagaOptions) {
  const reserve = calls.of("reserveStock", "checkout");
  const release = calls.of("releaseStock", "short");
  const commit = calls.of("commitStock", "short");
  return {
    reserve: {
      ...ofOrder("reserve", ({ order }) =>
        reserve.ask({
          orderId: order.orderId,
          lines: order.lines.map(({ sku, quantity }) => ({ sku, quantity })),
        }),
      ),
      parkMs,
    },
    release: ofOrder("release", ({ order }, again) => release.ask({ orderId: order.orderId, ...anew(again) })),
    commit: done(ofParcel("commit", (parcel, again) => commit.ask({ ...refOf(parcel), ...anew(again) }))),
    releasePart: done(ofParcel("release", (parcel, again) => release.ask({ ...refOf(parcel), ...anew(again) }))),
  };
}

function paymentSteps(calls: ListCalls, { checkoutPatienceMs: parkMs }: SagaOptions) {
  const authorize = calls.of("authorizePayment", "checkout");
  const voiding = calls.of("voidPayment", "short");
  const capture = calls.of("capturePayment", "short");
  const refund = calls.of("refundPayment", "short");
  return {
    authorize: {
      ...ofOrder("authorize", ({ order }) => {
        const { orderId, customerId, total: amount, cardToken } = order;
        return authorize.ask({ orderId, customerId, amount, cardToken });
      }),
      parkMs,
    },
    void: ofOrder("void", ({ order }, again) => voiding.ask({ orderId: order.orderId, ...anew(again) })),
    capture: done(ofParcel("capture", (parcel, again) => capture.ask({ ...partOf(parcel), ...anew(again) }))),
    voidPart: done(ofParcel("void", (parcel, again) => voiding.ask({ ...partOf(parcel), ...anew(again) }))),
    refundPart: done(ofParcel("refund", (parcel, again) => refund.ask({ ...partOf(parcel), ...anew(again) }))),
  };
}

function orderSteps(calls: ListCalls) {
  const confirm = calls.of("confirmOrder", "pivot");
  const transition = calls.of("transitionOrder", "short");
  return {
    /** The pivot. A cancellation does not interrupt it: it takes effect at the next step. */
    confirm: done(
      ofOrder("confirm", ({ order, parcels }: OfOrder & { parcels: Parcel[] }) =>
        confirm.askToTheEnd({ orderId: order.orderId, parcels: parcels.map(toOrderParcel) }),
      ),
    ),
    transition: done({
      name: ({ status }: TransitionInput) => status.toLowerCase(),
      ask: (input: TransitionInput) => transition.ask(input),
    }),
  };
}

function parcelSteps(calls: ListCalls) {
  const prepare = calls.of("prepareShipment", "long");
  const book = calls.of("bookShipment", "long");
  const cancel = calls.of("cancelShipment", "short");
  const look = calls.of("lookShipment", "short");
  return {
    prepare: {
      ...ofParcel("prepare", (parcel) =>
        prepare.ask({ ...refOf(parcel), lines: parcel.lines, address: parcel.order.address }),
      ),
      resolved: () => ({ shipmentId: "" }),
    },
    cancel: ofParcel("cancel", (parcel, again) => cancel.ask({ ...refOf(parcel), ...anew(again) })),
    book: { ...ofParcel("ship", (parcel) => book.ask(refOf(parcel))), resolved: () => ({ trackingNumber: "" }) },
    look: look as Pick<Coalescer<{ orderId: string; shipmentId: string }, "DELIVERED" | "LOST" | null>, "ask">,
  };
}

function ofOrder<I extends OfOrder, O>(name: string, ask: Step<I, O>["ask"]): Step<I, O> {
  return { name: () => name, ask };
}

function ofParcel<O>(name: string, ask: Step<Parcel, O>["ask"]): Step<Parcel, O> {
  return { name: (parcel) => `${name}:${parcel.locationId}`, ask };
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
