import type { TraceShape } from "./traces-stack.ts";

/** Who calls whom whatever becomes of an order. */
const always = [
  "orders → worker",
  "payments → simulators",
  "worker → inventory",
  "worker → orders",
  "worker → payments",
];

/** The trace of an order that is delivered in one parcel. */
export const deliveredShape: TraceShape = {
  edges: [...always, "shipping → orders", "shipping → simulators", "worker → shipping"].sort(),
  steps: [
    "authorize done",
    "capture done",
    "commit done",
    "confirm done",
    "deliver done",
    "prepare done",
    "reserve done",
    "settle done",
    "ship done",
  ],
};

/** The trace of an order whose card is declined. */
export const declinedShape: TraceShape = {
  edges: always,
  steps: ["authorize refused", "release done", "reserve done", "settle done", "void done"],
};

/** The trace of an order whose only parcel the carrier does not take. */
export const shipmentFailedShape: TraceShape = {
  edges: [...always, "shipping → orders", "shipping → simulators", "worker → shipping"].sort(),
  steps: [
    "authorize done",
    "confirm done",
    "prepare done",
    "release done",
    "reserve done",
    "settle done",
    "ship refused",
    "void done",
  ],
};
