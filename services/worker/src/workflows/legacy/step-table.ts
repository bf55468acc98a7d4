import type { Outcome, StepBatch } from "../engine/step-batch.ts";
import type {
  Address,
  Allocation,
  Money,
  OrderFailure,
  OrderMove,
  OrderParcel,
  ParcelReport,
} from "../order/order-types.ts";
import type { StepCall } from "./engine/batch-calls.ts";

/** One move of one order. */
export interface TransitionInput {
  orderId: string;
  status: OrderMove;
  failure?: OrderFailure;
  /** The parcels from now on; absent: as they are. */
  parcels?: OrderParcel[];
  /** Whether what was missing of the order follows in an order of its own; only of an episode. */
  followed?: boolean;
}

/** A parcel by its order and location. */
export interface ParcelRef {
  orderId: string;
  locationId: string;
}

/** Of a step that must succeed. */
export interface Again {
  /** How often an operator had it asked anew after a final refusal; absent: never. */
  again?: number;
}

/** A part of an order's money; with the location it is that parcel's part. */
export interface MoneyInput extends Again {
  orderId: string;
  locationId: string;
  amount: Money;
}

/** What goes into and comes out of each step: one entry of the activity of that name. */
export interface StepTypes {
  reserveStock: { input: { orderId: string; lines: { sku: string; quantity: number }[] }; output: Allocation[] };
  releaseStock: { input: { orderId: string; locationId?: string } & Again; output: null };
  commitStock: { input: ParcelRef & Again; output: null };
  authorizePayment: {
    input: { orderId: string; customerId: string; amount: Money; cardToken: string };
    output: null;
  };
  /** Without an amount all that is left is voided. */
  voidPayment: { input: { orderId: string; locationId?: string; amount?: Money } & Again; output: null };
  capturePayment: { input: MoneyInput; output: null };
  refundPayment: { input: MoneyInput; output: null };
  confirmOrder: { input: { orderId: string; parcels: OrderParcel[] }; output: null };
  transitionOrder: { input: TransitionInput; output: null };
  prepareShipment: {
    input: ParcelRef & { lines: { sku: string; quantity: number }[]; address: Address };
    output: { shipmentId: string };
  };
  bookShipment: { input: ParcelRef; output: { trackingNumber: string } };
  cancelShipment: { input: ParcelRef & Again; output: null };
  /** What became of a shipment; null while it is on its way. */
  lookShipment: { input: { orderId: string; shipmentId: string }; output: ParcelReport | null };
}

/** The name of a step's activity. */
export type StepName = keyof StepTypes;
/** What one entry of an activity takes. */
export type InputOf<N extends StepName> = StepTypes[N]["input"];
/** What one entry of an activity answers. */
export type OutputOf<N extends StepName> = StepTypes[N]["output"];

/** All that is said of a step outside of what it does. */
export interface StepSpec extends StepCall {
  /** What it is called in traces and metrics. */
  readonly label: string;
  /** The two calls that its activity is made of, where it is not one; the name of a status is a move of the order. */
  readonly halves?: readonly [StepHalf, StepHalf];
}

type StepHalf = OrderMove | "confirmStock" | "createShipment";

/**
 * The steps of the saga. A new one has its types above and its row here, its do and its undo side by side in `steps.ts`, its
 * place in `process-order.ts`, and an activity of its name beside those of the same service; what is missing does not
 * compile. Metrics, traces and retries read the row.
 */
export const steps = {
  reserveStock: { label: "reserve", kind: "checkout" },
  releaseStock: { label: "release", kind: "short" },
  commitStock: { label: "commit", kind: "short" },
  authorizePayment: { label: "authorize", kind: "checkout" },
  voidPayment: { label: "void", kind: "short" },
  capturePayment: { label: "capture", kind: "short" },
  refundPayment: { label: "refund", kind: "short" },
  confirmOrder: { label: "confirm", kind: "pivot", halves: ["confirmStock", "CONFIRMED"] },
  transitionOrder: { label: "transition", kind: "short" },
  prepareShipment: { label: "prepare", kind: "long", halves: ["PREPARING", "createShipment"] },
  bookShipment: { label: "ship", kind: "long" },
  cancelShipment: { label: "cancel", kind: "short" },
  lookShipment: { label: "look", kind: "short" },
} as const satisfies Record<StepName, StepSpec>;

type Halves = Extract<(typeof steps)[StepName], { halves: unknown }>["halves"][number];

/** The moves that the process makes as steps of their own; the others are halves of steps. */
export type OwnMove = Exclude<OrderMove, Halves>;

/** The activities that the worker provides: each takes a batch and answers with an outcome for each entry. */
export type Activities = {
  [N in StepName]: (batch: StepBatch<InputOf<N>>) => Promise<Outcome<OutputOf<N>>[]>;
};
