import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { RateClass, rate } from "#gen/shop/type/v1/rate_pb.js";
import { accessOf } from "#platform/authorization/access-rule.ts";

/** What calls are counted as; `service`: all that a service of ours calls. */
export const rateClasses = ["read", "write", "sensitive", "service"] as const;
export type RateClassName = (typeof rateClasses)[number];

/** What the contract counts the calls of a method as; `service` when only services of ours may make them. */
export function rateClassOf(method: DescMethod): RateClassName {
  const { services = [], roles = [], own, person, anyone = true } = accessOf(method) ?? {};
  if (services.length > 0 && roles.length === 0 && !own && !person && !anyone) return "service";
  if (getOption(method, rate) === RateClass.SENSITIVE) return "sensitive";
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? "read" : "write";
}
