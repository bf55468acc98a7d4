import type { DataConverter } from "@temporalio/common";
import { keysText } from "#platform/key-ring.ts";
import { Secret } from "#platform/secret.ts";
import { dataConverterOf } from "../../src/payloads/data-converter.ts";

/** A key that everybody knows: recorded histories are encrypted with it. */
export const testKeys = `recorded ${Buffer.alloc(32, "ordermesh").toString("base64")}`;

/** What clients and workers of the product have, with given keys. */
export function converterWith(keys: Secret, payloads: "encrypted" | "plain" = "encrypted"): DataConverter {
  return dataConverterOf({ TEMPORAL_PAYLOADS: payloads, TEMPORAL_CODEC_KEYS: keys, TEMPORAL_NAMESPACE: "default" });
}

/** What they have in tests. */
export const dataConverter = converterWith(new Secret(testKeys, keysText));
