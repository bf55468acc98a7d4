// What every contender does for a call besides carrying it: the same on all three.
import { randomUUID } from "node:crypto";
import type { EchoRequest } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { runInContext } from "#platform/context.ts";
import { InFlight } from "#platform/interceptors/in-flight.ts";
import { createLogger } from "#platform/log/logger.ts";
import { CallMetrics, createRegistry } from "#platform/metrics/metrics.ts";

/** Prints nothing that is below a warning. */
export const { logger } = createLogger({ name: "bench", level: "warn", format: "json" });
export const inFlight = new InFlight({ caller: 10_000, saga: 1, operator: 1, waiting: 1 });
export const metrics = new CallMetrics(createRegistry("bench"), () => inFlight.counts);
export const defaultTimeoutMs = 30_000;
export const maxMessageBytes = 8 * 1024 * 1024;

/** The implementation. */
export function echo(request: EchoRequest) {
  return { text: request.text, receivedBytes: request.payload.length };
}

/** Runs a call in its context, as the platform's interceptor does. */
export function inCallContext<T>(requestId: string | undefined, deadline: number | undefined, fn: () => T): T {
  return runInContext({ requestId: requestId ?? randomUUID(), deadline }, fn);
}
