import type { DescMethod, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { OrderService, WaitFor } from "./gen/shop/orders/v1/order_service_pb.js";

/** How long a call may take. Times are milliseconds. */
export interface Timeout {
  /** With all its repetitions. A call's own `timeoutMs` goes before it. */
  readonly totalMs: number;
  /** One attempt: who does not answer for so long is asked again. */
  readonly attemptMs: number;
}

/** By what a call is. */
export interface Timeouts {
  /** Default 10 s, an attempt 3 s. */
  readonly read: Timeout;
  /** What changes something. Default 30 s, an attempt 10 s. */
  readonly change: Timeout;
  /** CreateOrder that waits for the confirmation, which the service does for 30 s at most. Default 35 s, at one attempt. */
  readonly wait: Timeout;
  /** BulkCreateOrders. Default 60 s, an attempt 30 s. */
  readonly bulk: Timeout;
}

const standard: Timeouts = {
  read: { totalMs: 10_000, attemptMs: 3_000 },
  change: { totalMs: 30_000, attemptMs: 10_000 },
  wait: { totalMs: 35_000, attemptMs: 35_000 },
  bulk: { totalMs: 60_000, attemptMs: 30_000 },
};

/** How long a call may take that says nothing itself. */
export function timeoutOf(method: DescMethod, message: Message, given: Partial<Timeouts> = {}): Timeout {
  const timeouts = { ...standard, ...given };
  if (method === OrderService.method.bulkCreateOrders) return timeouts.bulk;
  if (isRead(method)) return timeouts.read;
  return "waitFor" in message && message.waitFor === WaitFor.CONFIRMED ? timeouts.wait : timeouts.change;
}

/** Whether the contract says that a call changes nothing. */
export function isRead(method: DescMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}
