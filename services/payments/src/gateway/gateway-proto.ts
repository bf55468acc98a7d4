import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import {
  GatewayOperationKind,
  type GatewayOperation as GatewayOperationMessage,
  GatewayOperationSchema,
  type GatewayOutcome,
  type OperationApproved,
} from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { whole } from "#platform/whole.ts";
import type { Effect } from "../payment/payment.ts";
import { GatewayAmbiguousError, type GatewayAnswer, GatewayKeyReusedError, type GatewayOperation } from "./gateway.ts";

const kinds = {
  authorize: GatewayOperationKind.AUTHORIZE,
  capture: GatewayOperationKind.CAPTURE,
  void: GatewayOperationKind.VOID,
  refund: GatewayOperationKind.REFUND,
} as const satisfies Record<Effect, GatewayOperationKind>;

/** What is told of a refusal for which the card's owner would have to do something. */
const requiresAction = "requires_action";

/** An operation as connectors get it. */
export function toProtoOperation(operation: GatewayOperation): GatewayOperationMessage {
  const { key, kind, orderId, cardToken, reference, currency, amount, final, before } = operation;
  return whole(GatewayOperationSchema, {
    key,
    kind: kinds[kind],
    orderId,
    cardToken,
    reference,
    amount: { currency, amount },
    final,
    before: kind === "authorize" || !before ? undefined : { ...before, deferred: 0n },
  });
}

/** What a connector says of an operation; undefined: it had no effect. @throws GatewayAmbiguousError @throws GatewayKeyReusedError */
export function toAnswer({ kind, key }: GatewayOperation, { result }: GatewayOutcome): GatewayAnswer | undefined {
  switch (result.case) {
    case "approved":
      return toApproval(kind, result.value);
    case "declined":
      return { state: "declined", code: result.value.code };
    case "requiresAction":
      return { state: "declined", code: requiresAction };
    case "processing":
      return { state: "processing" };
    case "notExecuted":
      return undefined;
    case "keyReused":
      throw new GatewayKeyReusedError(`the gateway's connector knows the key ${key} with another body`);
    default:
      throw new GatewayAmbiguousError("the gateway's connector does not know whether there was an effect");
  }
}

function toApproval(kind: Effect, { reference, holdExpireTime }: OperationApproved): GatewayAnswer {
  // Without it nothing could ever be done with the authorization.
  if (kind === "authorize" && reference === "") {
    throw new GatewayAmbiguousError("the gateway's connector approves an authorization and does not say its reference");
  }
  return { state: "approved", reference, holdExpireTime: toDate(holdExpireTime) };
}

/** The last moment that is written with a year of four digits, as PostgreSQL reads it from JSON. */
const lastMs = Date.UTC(9_999, 11, 31);

/** What somebody else says may be no time that can be kept; then it is undefined. */
export function toDate(time: Timestamp | undefined): Date | undefined {
  const date = time && timestampDate(time);
  return date && date.getTime() > 0 && date.getTime() <= lastMs ? date : undefined;
}
