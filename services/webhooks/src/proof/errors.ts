import { Code } from "@connectrpc/connect";
import { WebhookErrorReason, WebhookErrorReasonSchema } from "#gen/shop/webhooks/v1/webhook_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";
import type { UrlRule } from "../wall/walls.ts";

/** What the webhooks service refuses; the proto's comments list each reason's metadata. */
export const WebhookError = defineErrors<WebhookErrorReason>({
  domain: "webhooks.shop",
  reasons: WebhookErrorReasonSchema,
  codes: {
    [WebhookErrorReason.UNSPECIFIED]: Code.Unknown,
    [WebhookErrorReason.ENDPOINT_NOT_FOUND]: Code.NotFound,
    [WebhookErrorReason.ENDPOINT_NAME_TAKEN]: Code.AlreadyExists,
    [WebhookErrorReason.URL_REFUSED]: Code.InvalidArgument,
    [WebhookErrorReason.CHALLENGE_FAILED]: Code.FailedPrecondition,
    [WebhookErrorReason.ENDPOINT_UNVERIFIED]: Code.FailedPrecondition,
    [WebhookErrorReason.TOO_MANY_ENDPOINTS]: Code.ResourceExhausted,
    [WebhookErrorReason.TOO_MANY_SECRETS]: Code.FailedPrecondition,
  },
});

/** @returns ENDPOINT_NOT_FOUND */
export function endpointNotFound(endpointId: string): Error {
  const metadata = { endpoint_id: endpointId };
  return new WebhookError(WebhookErrorReason.ENDPOINT_NOT_FOUND, `there is no endpoint ${endpointId}`, metadata);
}

/** @returns ENDPOINT_NAME_TAKEN */
export function endpointNameTaken(name: string, endpointId: string): Error {
  const metadata = { endpoint_id: endpointId };
  return new WebhookError(WebhookErrorReason.ENDPOINT_NAME_TAKEN, `an endpoint has the name ${name}`, metadata);
}

const rules: Readonly<Record<UrlRule, string>> = {
  url: "is no URL",
  scheme: "has to begin with https://",
  credentials: "may not have a user or a password: requests are signed",
  fragment: "may not have a fragment (#)",
  port: "has a port to which nothing is sent (WEBHOOK_PORTS)",
  address: "leads to an address that is not public (WEBHOOK_NETWORKS)",
};

/** @returns URL_REFUSED */
export function urlRefused(rule: UrlRule): Error {
  return new WebhookError(WebhookErrorReason.URL_REFUSED, `the URL ${rules[rule]}`, { rule });
}

/** @returns CHALLENGE_FAILED */
export function challengeFailed(outcome: string): Error {
  const message =
    outcome === "answer"
      ? 'the endpoint did not answer {"signature": …} with the signature of the challenge'
      : `the endpoint did not answer the challenge: ${outcome}`;
  return new WebhookError(WebhookErrorReason.CHALLENGE_FAILED, message, { outcome });
}

/** @returns ENDPOINT_UNVERIFIED */
export function endpointUnverified(endpointId: string): Error {
  const message = "the endpoint has not proved that it wants to be told: enable it first";
  return new WebhookError(WebhookErrorReason.ENDPOINT_UNVERIFIED, message, { endpoint_id: endpointId });
}

/** @returns TOO_MANY_ENDPOINTS */
export function tooManyEndpoints(max: number): Error {
  const message = `there are ${max} endpoints, which is as many as there may be (WEBHOOK_ENDPOINTS_MAX)`;
  return new WebhookError(WebhookErrorReason.TOO_MANY_ENDPOINTS, message, { max: String(max) });
}

/** @returns TOO_MANY_SECRETS */
export function tooManySecrets(max: number): Error {
  const message = `${max} secrets of the endpoint are valid: wait until the oldest has ended`;
  return new WebhookError(WebhookErrorReason.TOO_MANY_SECRETS, message, { max: String(max) });
}
