import { durationMs } from "@bufbuild/protobuf/wkt";
import { type GetCapabilitiesResponse, PartVoid } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import type { GatewayOperation } from "./gateway.ts";

/** What a gateway and its connector can, as far as payments heeds it. */
export interface GatewayAbilities {
  /** Why payments cannot work with it; undefined when it can. */
  readonly unusable: string | undefined;
  /** Whether what is void is given free with the last operation only. */
  readonly inTurn: boolean;
  /** Whether an authorization is captured once. */
  readonly capturesOnce: boolean;
  /** How long after it was accepted an operation may be sent again; infinite: for ever. Milliseconds. */
  readonly keyLifetimeMs: number;
  /** The smallest amount of each currency in minor units; empty: all currencies, and any amount. */
  readonly minAmounts: ReadonlyMap<string, bigint>;
  /** Operations of one call. */
  readonly maxOperations: number;
  /** 0: as many as come. */
  readonly maxOperationsPerSecond: number;
}

/** The most operations that payments puts into one call. */
const mostOperations = 256;

/** What a connector says of itself, checked: it may be anybody's. */
export function toAbilities(said: GetCapabilitiesResponse): GatewayAbilities {
  const { maxOperations, keyLifetime } = said;
  return {
    unusable: whyUnusable(said),
    inTurn: said.partVoid === PartVoid.DEFERRED,
    capturesOnce: said.maxCaptures === 1,
    keyLifetimeMs: keyLifetime ? durationMs(keyLifetime) : Number.POSITIVE_INFINITY,
    minAmounts: new Map(said.currencies.map(({ currency, minAmount }) => [currency, minAmount])),
    maxOperations: Math.min(Math.max(maxOperations, 1), mostOperations),
    maxOperationsPerSecond: Math.max(said.maxOperationsPerSecond, 0),
  };
}

/** Each parcel of an order is captured by itself when it leaves, and its share is voided when it cannot: where that is captured once, as a whole. */
function whyUnusable({ maxCaptures, partVoid }: GetCapabilitiesResponse): string | undefined {
  if (maxCaptures < 1) return "it cannot capture what it has authorized";
  if (maxCaptures === 1) return undefined;
  if (partVoid === PartVoid.NOW || partVoid === PartVoid.DEFERRED) return undefined;
  return "it cannot void a part of an authorization, as is done for a parcel that cannot leave";
}

/** Why a gateway would certainly refuse an authorization; undefined when it has to be asked. */
export function refusalOf({ minAmounts }: GatewayAbilities, operation: GatewayOperation): string | undefined {
  if (operation.kind !== "authorize" || minAmounts.size === 0) return undefined;
  const least = minAmounts.get(operation.currency);
  if (least === undefined) return "currency_not_supported";
  return operation.amount < least ? "amount_too_small" : undefined;
}
