import { status } from "@grpc/grpc-js";
import { isGrpcServiceError } from "@temporalio/client";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "#platform/errors.ts";

/**
 * What Temporal says, or its client for it, when it can be asked again. We never cancel a call: CANCELLED is what the native
 * client says when a deadline has passed.
 */
const away: readonly number[] = [
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.CANCELLED,
];
/** When a caller should ask again, in milliseconds. */
const retryMs = 1_000;

/**
 * What a failed call to Temporal means for our caller: UNAVAILABLE when Temporal was not reached or did not answer in time,
 * which is no fault of ours; any other error as it is.
 */
export function orAway(error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!isGrpcServiceError(cause) || !away.includes(cause.code)) continue;
    const options = { cause: error, retryAfterMs: retryMs };
    return new PlatformError(PlatformErrorReason.UNAVAILABLE, "Temporal is away", { dependency: "temporal" }, options);
  }
  return error;
}
