import { Code } from "@connectrpc/connect";
import { IdentityErrorReason, IdentityErrorReasonSchema } from "#gen/shop/identity/v1/identity_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";

/** What the identity service refuses; the proto's comments list each reason's metadata. */
export const IdentityError = defineErrors<IdentityErrorReason>({
  domain: "identity.shop",
  reasons: IdentityErrorReasonSchema,
  codes: {
    [IdentityErrorReason.UNSPECIFIED]: Code.Unknown,
    [IdentityErrorReason.LOGIN_REFUSED]: Code.Unauthenticated,
    [IdentityErrorReason.TOO_MANY_ATTEMPTS]: Code.ResourceExhausted,
    [IdentityErrorReason.SESSION_OVER]: Code.Unauthenticated,
    [IdentityErrorReason.TOKEN_OVER]: Code.FailedPrecondition,
    [IdentityErrorReason.WEAK_PASSWORD]: Code.InvalidArgument,
    [IdentityErrorReason.PERSON_NOT_FOUND]: Code.NotFound,
    [IdentityErrorReason.API_KEY_NOT_FOUND]: Code.NotFound,
    [IdentityErrorReason.API_KEY_NAME_TAKEN]: Code.AlreadyExists,
    [IdentityErrorReason.API_KEY_REFUSED]: Code.Unauthenticated,
    [IdentityErrorReason.PASSWORD_REFUSED]: Code.PermissionDenied,
    [IdentityErrorReason.CODE_REQUIRED]: Code.Unauthenticated,
    [IdentityErrorReason.CODE_REFUSED]: Code.PermissionDenied,
    [IdentityErrorReason.SECOND_FACTOR_EXISTS]: Code.FailedPrecondition,
    [IdentityErrorReason.SECOND_FACTOR_MISSING]: Code.FailedPrecondition,
    [IdentityErrorReason.SECOND_FACTOR_UNAVAILABLE]: Code.FailedPrecondition,
  },
});

/** @returns LOGIN_REFUSED */
export function loginRefused(): Error {
  return new IdentityError(IdentityErrorReason.LOGIN_REFUSED, "there is nobody with this address and this password");
}

/**
 * @param what was tried, in words
 * @param retryAfterMs undefined when waiting alone does not help
 * @returns TOO_MANY_ATTEMPTS
 */
export function tooManyAttempts(what: string, retryAfterMs: number | undefined): Error {
  const message = `too many ${what}`;
  const options = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new IdentityError(IdentityErrorReason.TOO_MANY_ATTEMPTS, message, {}, options);
}

/** @returns SESSION_OVER */
export function sessionOver(): Error {
  return new IdentityError(IdentityErrorReason.SESSION_OVER, "the session has ended");
}

/** @returns TOKEN_OVER */
export function tokenOver(): Error {
  return new IdentityError(IdentityErrorReason.TOKEN_OVER, "the token was used, has expired, or was never given");
}

/** @returns WEAK_PASSWORD */
export function weakPassword(rule: "length" | "guessable", minLength: number): Error {
  const message =
    rule === "length"
      ? `a password has at least ${minLength} characters`
      : "the password is one of the first that somebody would try";
  return new IdentityError(IdentityErrorReason.WEAK_PASSWORD, message, { rule });
}

/** @returns PASSWORD_REFUSED */
export function passwordRefused(): Error {
  return new IdentityError(IdentityErrorReason.PASSWORD_REFUSED, "this is not the password of now");
}

/** @returns CODE_REQUIRED */
export function codeRequired(): Error {
  return new IdentityError(IdentityErrorReason.CODE_REQUIRED, "a code of the second factor is wanted besides");
}

/** @returns CODE_REFUSED */
export function codeRefused(): Error {
  return new IdentityError(IdentityErrorReason.CODE_REFUSED, "the code is not the one of now, or was used before");
}

/** @returns SECOND_FACTOR_EXISTS */
export function secondFactorExists(): Error {
  return new IdentityError(IdentityErrorReason.SECOND_FACTOR_EXISTS, "there is a second factor already");
}

/** @returns SECOND_FACTOR_MISSING */
export function secondFactorMissing(): Error {
  return new IdentityError(IdentityErrorReason.SECOND_FACTOR_MISSING, "there is no second factor");
}

/** @returns SECOND_FACTOR_UNAVAILABLE */
export function secondFactorUnavailable(): Error {
  const message = "there is no key to seal its secret with: set PERSONAL_DATA_KEYS or PERSONAL_DATA_KEYS_FILE";
  return new IdentityError(IdentityErrorReason.SECOND_FACTOR_UNAVAILABLE, message);
}

/** @returns PERSON_NOT_FOUND */
export function personNotFound(personId: string): Error {
  const metadata = { person_id: personId };
  return new IdentityError(IdentityErrorReason.PERSON_NOT_FOUND, `there is no person ${personId}`, metadata);
}

/** @returns API_KEY_NOT_FOUND */
export function apiKeyNotFound(apiKeyId: string): Error {
  const metadata = { api_key_id: apiKeyId };
  return new IdentityError(IdentityErrorReason.API_KEY_NOT_FOUND, `there is no key ${apiKeyId}`, metadata);
}

/** @returns API_KEY_NAME_TAKEN */
export function apiKeyNameTaken(name: string, apiKeyId: string): Error {
  const message = `a key that is valid has the name ${name}`;
  return new IdentityError(IdentityErrorReason.API_KEY_NAME_TAKEN, message, { api_key_id: apiKeyId });
}

/** @returns API_KEY_REFUSED */
export function apiKeyRefused(): Error {
  return new IdentityError(IdentityErrorReason.API_KEY_REFUSED, "the key was revoked, has expired, or was never given");
}
