import type { DescService } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import type { Credentials } from "#platform/caller.ts";
import type { ClientAddresses } from "#platform/limits/client-address.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { CallMetrics } from "#platform/metrics/metrics.ts";
import { accessInterceptor } from "./access.ts";
import { authorizationInterceptor } from "./authorization.ts";
import { contextInterceptor } from "./context.ts";
import { deadlineInterceptor } from "./deadline.ts";
import { errorInterceptor } from "./errors.ts";
import type { InFlight } from "./in-flight.ts";
import type { Limits } from "./limits.ts";
import type { StreamDrain } from "./stream-drain.ts";
import { telemetryInterceptor } from "./telemetry.ts";
import { validationInterceptor } from "./validation.ts";
import { wholePageInterceptor } from "./whole-page.ts";

/** What the interceptors of a server need. */
export interface ServerInterceptorOptions {
  readonly services: readonly DescService[];
  readonly logger: Logger;
  readonly metrics: CallMetrics;
  readonly inFlight: InFlight;
  readonly streamDrain: StreamDrain;
  /** What callers prove who they are with; without it nobody is asked. */
  readonly credentials: Credentials | undefined;
  readonly limits: Limits;
  /** Tells from where a refused caller called. */
  readonly addresses: Pick<ClientAddresses, "of">;
  /** Whether only calls that are for services alone need one. */
  readonly onlyServices?: boolean;
  readonly defaultTimeoutMs: number;
  readonly maxMessageBytes: number;
  /** Whether the process makes spans; else there is no interceptor for them. */
  readonly tracing: boolean;
}

/**
 * The list that both faces run, outermost first. The error interceptor is inside of what reports, so that what is logged
 * and counted is what the caller gets; validation comes late, because it costs most.
 */
export function serverInterceptors(options: ServerInterceptorOptions): Interceptor[] {
  const { services, credentials, onlyServices, limits, metrics, logger } = options;
  const onRefused = (reason: string, problem?: string): void => {
    metrics.denied(reason);
    if (problem) logger.info(`a caller is nobody: ${problem}`);
  };
  return [
    options.streamDrain.interceptor(),
    contextInterceptor(options.defaultTimeoutMs),
    ...(options.tracing ? [telemetryInterceptor()] : []),
    accessInterceptor(options.logger, options.metrics, options.addresses),
    errorInterceptor(),
    deadlineInterceptor(),
    ...(credentials ? [authorizationInterceptor({ services, credentials, onlyServices, limits, onRefused })] : []),
    limits.interceptor(),
    options.inFlight.interceptor(),
    validationInterceptor(options.services),
    wholePageInterceptor(options.maxMessageBytes),
  ];
}
