import type { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { type DomainError, PlatformError, toConnectError } from "#platform/errors.ts";

/** How long a caller should wait for an issuer that does not answer, in milliseconds. */
const issuerRetryMs = 1_000;

/** @returns CREDENTIAL_MISSING */
export function credentialMissing(): DomainError {
  const message = "the call needs a credential: send authorization: Bearer …";
  return new PlatformError(PlatformErrorReason.CREDENTIAL_MISSING, message);
}

/**
 * What is wrong with it, for its holder: `expired`, or `invalid` for all else, since who made it up learns nothing.
 *
 * @returns CREDENTIAL_REFUSED
 */
export function credentialRefused(why: "expired" | "invalid", cause?: unknown): DomainError {
  const message = why === "expired" ? "the credential has expired" : "the credential is not valid here";
  return new PlatformError(PlatformErrorReason.CREDENTIAL_REFUSED, message, { cause: why }, { cause });
}

/**
 * A certificate that proves no service, and nothing beside it.
 *
 * @param problem what is wrong with it, for the log
 * @returns CREDENTIAL_REFUSED
 */
export function certificateRefused(problem: string): DomainError {
  const message = "the certificate is of no service that is known here, and the call has no other credential";
  const cause = new Error(problem);
  return new PlatformError(PlatformErrorReason.CREDENTIAL_REFUSED, message, { cause: "certificate" }, { cause });
}

/**
 * A service's token that came over the connection of another service.
 *
 * @returns CREDENTIAL_REFUSED
 */
export function tokenOfAnother(token: string, certificate: string): DomainError {
  const message = "the token is of another service than the certificate";
  const cause = new Error(`the token is of ${token}, and the certificate of ${certificate}`);
  return new PlatformError(PlatformErrorReason.CREDENTIAL_REFUSED, message, { cause: "certificate" }, { cause });
}

/** @returns NOT_PERMITTED */
export function notPermitted(method: string): DomainError {
  const message = "the credential is good, and not for this call";
  return new PlatformError(PlatformErrorReason.NOT_PERMITTED, message, { method });
}

/** @returns UNAVAILABLE */
export function issuerAway(cause: unknown): DomainError {
  const options = { cause, retryAfterMs: issuerRetryMs };
  const message = "the credential cannot be judged for the moment: who issued it does not answer, or not as expected";
  return new PlatformError(PlatformErrorReason.UNAVAILABLE, message, { dependency: "issuer" }, options);
}

/** Of a credential: these are said of whoever calls. */
const ofCredentials: readonly string[] = ["CREDENTIAL_MISSING", "CREDENTIAL_REFUSED", "NOT_PERMITTED"];

/**
 * What a callee's refusal is to those for whom a service calls. That the service's own credential is not taken (its key was changed, a
 * clock is wrong) says nothing about their request: the callee is as good as away, and may take it later or elsewhere.
 */
export function refusalOfCallee(error: ConnectError): ConnectError {
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info?.domain !== "platform.shop" || !ofCredentials.includes(info.reason)) return error;
  const options = { cause: error, retryAfterMs: issuerRetryMs };
  const message = "a service that is needed does not take our credential";
  return toConnectError(
    new PlatformError(PlatformErrorReason.UNAVAILABLE, message, { dependency: "credential" }, options),
  );
}
