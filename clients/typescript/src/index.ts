// What the package offers. Messages and services are at `@ordermesh/client/gen/shop/…`.

export { type CreateOrdersOptions, createOrders } from "./create-orders.ts";
export { followOrder } from "./follow-order.ts";
export { type ClientOptions, Ordermesh, type ServiceName } from "./ordermesh.ts";
export { type FieldProblem, type Refusal, refusalOf } from "./refusal.ts";
export type { RetryOptions } from "./retry.ts";
export type { Timeout, Timeouts } from "./timeouts.ts";
