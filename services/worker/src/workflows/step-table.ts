import type { StockChange } from "./amendment-plan.ts";
import type { StepCall } from "./engine/batch-calls.ts";
import type { Outcome, StepBatch } from "./engine/step-batch.ts";
import type {
  Address,
  Allocation,
  Money,
  OrderFailure,
  OrderLine,
  OrderMove,
  OrderParcel,
  ReturnedPart,
  TurnBack,
} from "./order/order-types.ts";
import type { ParkedState, SagaState } from "./order-state.ts";

/** A parcel by its order and location. */
export interface ParcelRef {
  orderId: string;
  locationId: string;
  /** Which of the parcels from there it is; absent: the first. */
  generation?: number;
}

/** Of a step that must succeed. */
export interface Again {
  /** How often an operator had it asked anew after a final refusal; absent: never. */
  again?: number;
}

/** Which of the payments of an order. */
export interface PaymentRef {
  /** The amendment that it was made for; absent: the order's own. */
  payment?: number;
}

/** A part of an order's money; with the location it is that parcel's part. */
export interface MoneyInput extends ParcelRef, PaymentRef, Again {
  amount: Money;
}

/** A credit of an order that is sent in exchange, by what came back. */
export interface CreditRef extends ReturnRef {
  /** The order that it pays. */
  creditedOrderId: string;
  /** Which of its credits, from 0. */
  credit: number;
}

/** Something that came back, by its order and return. */
export interface ReturnRef {
  orderId: string;
  returnId: string;
}

/** An amendment by its order and number. */
export interface AmendmentRef {
  orderId: string;
  number: number;
}

/** What becomes of an amendment, as `shop.orders.v1.DecideAmendmentRequest`. */
export interface DecideInput extends AmendmentRef {
  /** Absent: it is accepted. */
  failure?: OrderFailure;
  parcels?: OrderParcel[];
  partly?: boolean;
}

/** How an order leaves an episode, as `shop.orders.v1.SettleOrderRequest`. */
export interface SettleInput {
  orderId: string;
  /** The amendment with which the saga is through; absent: none. */
  amended?: number;
  /** What the saga remembers. */
  saga: SagaState;
  /** Where the order goes; absent: it stays where it is. */
  status?: OrderMove;
  /** Why, for REJECTED, CANCELLED and FAILED. */
  failure?: OrderFailure;
  /** The parcels from now on; absent: as they are. */
  parcels?: OrderParcel[];
  cancellable: boolean;
  /** Whether this run knows that the cancellation was accepted; absent where a run of the version before asked. */
  cancellationHeard?: boolean;
  needsCard: boolean;
  /** Whether it waits for stock; absent: it does not. */
  awaitsStock?: boolean;
  /** When it is carried again although nothing happens to it; absent: when something does. */
  retryAfterMs?: number;
  waitsFor?: string;
  parked?: ParkedState;
}

/** What the carrier says to a parcel: its number, or that it has not decided. */
export type Booking = { trackingNumber: string } | "pending";

/** What is to become of an order that is not rejected: it goes on, or a person has to decide. */
export type Screening = "pass" | "review";

/** What of an order is there never to be had. */
export interface Short {
  missing: { sku: string; quantity: number }[];
  /** What is set aside where; absent: nobody said it. */
  allocations?: Allocation[];
}

/** What is set aside where, that the order waits for stock, or what it does not get. */
export type Reserved = Allocation[] | "waiting" | Short;

/** An order without what is missing of it. */
export interface CutOrder {
  lines: OrderLine[];
  total: Money;
  /** Whether that follows in an order of its own; absent: it does not. */
  followed?: boolean;
}

/** What becomes of a parcel that does not simply arrive, as in `shop.orders.v1.ParcelFate`. */
export type ParcelFate = "TO_BE_RETURNED" | "CAME_BACK" | "LOST";

/** What follows from it. */
export interface ResolvedParcel {
  /** Empty: there is no return of it. */
  returnId: string;
  /** Of one that is lost: what is to be paid back, in minor units of the order's currency. */
  refund: number;
}

/** What goes into and comes out of each step: one entry of the activity of that name. */
export interface StepTypes {
  screenOrder: { input: { orderId: string }; output: Screening };
  /** With `partly` an order gets what is there, with `waits` it waits in turn when that is too little, or nothing; otherwise it is refused. */
  reserveStock: {
    input: { orderId: string; lines: { sku: string; quantity: number }[]; waits?: boolean; partly?: boolean };
    output: Reserved;
  };
  releaseStock: { input: { orderId: string; locationId?: string; generation?: number } & Again; output: null };
  /** Takes out of the order what is missing of it. */
  cutOrder: { input: { orderId: string } & Short; output: CutOrder };
  commitStock: { input: ParcelRef & Again; output: null };
  /** Answers what each of the payments holds that were made, when they are captured once: one for each parcel, or none is made. */
  authorizePayment: {
    input: {
      orderId: string;
      customerId: string;
      amount: Money;
      cardToken: string;
      /** What of it each of several parcels will be charged, in minor units; absent: there is one, or nobody knows. */
      parcels?: number[];
      /** Whether they are to be captured once, whatever the gateway can; absent: as it can. */
      singleCapture?: boolean;
    } & PaymentRef;
    output: number[] | null;
  };
  /** Without an amount all that is left is voided; with `beside` also of the payments that were made with it for other parcels. */
  voidPayment: {
    input: {
      orderId: string;
      locationId?: string;
      generation?: number;
      number?: number;
      amount?: Money;
      beside?: boolean;
    } & PaymentRef &
      Again;
    output: null;
  };
  capturePayment: { input: MoneyInput; output: null };
  refundPayment: { input: MoneyInput; output: null };
  /** Answers what is firm: its parcels are planned from that, because stock of a hold that ended may lie elsewhere. */
  confirmOrder: { input: { orderId: string } & CutOrder; output: Allocation[] };
  createShipment: {
    input: ParcelRef & Again & { lines: { sku: string; quantity: number }[]; address: Address };
    output: { shipmentId: string };
  };
  requestBooking: { input: ParcelRef & Again; output: Booking };
  cancelShipment: { input: ParcelRef & Again; output: null };
  restock: { input: ReturnRef & Again & { parts: ReturnedPart[] }; output: null };
  /** With who granted it, who may grant so much alone. */
  refundReturn: { input: ReturnRef & PaymentRef & Again & { amount: Money; grantedBy?: string }; output: null };
  /** Has what one payment captured pay the order that is sent in exchange. */
  creditReturn: { input: CreditRef & PaymentRef & { customerId: string; amount: Money }; output: null };
  /** Gives back what was credited to an order that there never will be, and sees to it that nothing is. */
  giveBackCredit: { input: CreditRef & Again; output: null };
  /** Has the order placed that is sent in exchange, or says why it cannot be; answers whether there is one. */
  exchangeReturn: { input: ReturnRef & Again & { credits: number[]; failure?: string }; output: boolean };
  completeReturn: { input: ReturnRef & { rejected?: boolean }; output: null };
  /** Sets aside what an order gets besides, and answers what it has, and will have, where. */
  amendStock: {
    input: AmendmentRef & Again & { lines: { sku: string; quantity: number }[]; fixed: string[] };
    output: StockChange;
  };
  endStockAmendment: { input: AmendmentRef & Again & { accepted: boolean }; output: null };
  /** Calls a parcel off that the warehouse has not packed. */
  takeBackShipment: { input: ParcelRef & Again; output: null };
  /** Has the carrier asked to bring a parcel back; shipping tells what it says. */
  turnBackShipment: { input: ParcelRef & Again; output: TurnBack };
  /** Has the carrier asked for the label of a return; shipping tells what it says. */
  requestLabel: { input: ReturnRef & ParcelRef & Again; output: null };
  /** Says what becomes of a parcel that does not simply arrive, and answers what follows. */
  resolveParcel: { input: ParcelRef & Again & { fate: ParcelFate }; output: ResolvedParcel };
  decideAmendment: { input: DecideInput; output: null };
  settleOrder: { input: SettleInput; output: null };
}

/** The name of a step's activity. */
export type StepName = keyof StepTypes;

/** All that is said of a step outside of what it does. */
export interface StepSpec extends StepCall {
  /** What it is called in traces and metrics. */
  readonly label: string;
  /** The two calls that its activity is made of, where it is not one; the name of a status is a move of the order. */
  readonly halves?: readonly [StepHalf, StepHalf];
}

type StepHalf = OrderMove | "confirmStock";

/**
 * The steps of the saga. A new one has its types above and its row here, its do and its undo side by side in `steps.ts`, its
 * place in `process-order.ts`, and an activity of its name beside those of the same service; what is missing does not
 * compile. Metrics, traces and retries read the row.
 */
export const steps = {
  screenOrder: { label: "screen", callee: "orders" },
  reserveStock: { label: "reserve", callee: "inventory" },
  releaseStock: { label: "release", callee: "inventory" },
  cutOrder: { label: "cut", callee: "orders" },
  commitStock: { label: "commit", callee: "inventory" },
  authorizePayment: { label: "authorize", callee: "payments", decider: "gateway" },
  voidPayment: { label: "void", callee: "payments", decider: "gateway" },
  capturePayment: { label: "capture", callee: "payments", decider: "gateway" },
  refundPayment: { label: "refund", callee: "payments", decider: "gateway" },
  confirmOrder: { label: "confirm", callee: "inventory", halves: ["confirmStock", "CONFIRMED"] },
  createShipment: { label: "prepare", callee: "shipping" },
  requestBooking: { label: "ship", callee: "shipping" },
  cancelShipment: { label: "cancel", callee: "shipping", decider: "carrier" },
  restock: { label: "restock", callee: "inventory" },
  refundReturn: { label: "repay", callee: "payments", decider: "gateway" },
  creditReturn: { label: "credit", callee: "payments" },
  giveBackCredit: { label: "give-back", callee: "payments", decider: "gateway" },
  exchangeReturn: { label: "exchange", callee: "orders" },
  completeReturn: { label: "complete", callee: "orders" },
  amendStock: { label: "amend", callee: "inventory" },
  endStockAmendment: { label: "end-amendment", callee: "inventory" },
  takeBackShipment: { label: "take-back", callee: "shipping", decider: "carrier" },
  turnBackShipment: { label: "turn-back", callee: "shipping" },
  requestLabel: { label: "label", callee: "shipping" },
  resolveParcel: { label: "resolve", callee: "orders" },
  decideAmendment: { label: "decide", callee: "orders" },
  settleOrder: { label: "settle", callee: "orders", patient: true, bulky: true },
} as const satisfies Record<StepName, StepSpec>;

/** The activities of episodes: each takes a batch and answers with an outcome for each entry. */
export type Activities = {
  [N in StepName]: (batch: StepBatch<StepTypes[N]["input"]>) => Promise<Outcome<StepTypes[N]["output"]>[]>;
};
