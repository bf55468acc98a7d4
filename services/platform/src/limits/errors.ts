import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { type DomainError, PlatformError } from "#platform/errors.ts";

/**
 * @param limit   what there was too much of
 * @param retryMs when there is some again, in milliseconds
 * @returns RATE_LIMITED
 */
export function rateLimited(limit: string, retryMs: number): DomainError {
  const message = `too many calls: the limit "${limit}" is used up for now`;
  return new PlatformError(PlatformErrorReason.RATE_LIMITED, message, { limit }, { retryAfterMs: Math.ceil(retryMs) });
}
