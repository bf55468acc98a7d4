import { fileURLToPath } from "node:url";
import type { DataConverter } from "@temporalio/common";
import { ConfigError } from "#platform/config.ts";
import { KeyRing } from "#platform/key-ring.ts";
import { EncryptingCodec, payloadKeys } from "./payload-codec.ts";
import { type PayloadConfig, withoutKeys } from "./payload-config.ts";

/** What a payload is made by. */
export interface ConverterConfig extends Pick<PayloadConfig, "TEMPORAL_PAYLOADS" | "TEMPORAL_CODEC_KEYS"> {
  readonly TEMPORAL_NAMESPACE: string;
}

/** The file that says how failures become payloads; the bundle of the workflows has it as well. */
export const failureConverterPath = fileURLToPath(new URL("../workflows/failure-converter.ts", import.meta.url));

/**
 * How Temporal's client and its worker write what Temporal keeps, and read it: the same for both.
 *
 * @throws ConfigError when it is to be encrypted and there is no key
 */
export function dataConverterOf(config: ConverterConfig): DataConverter {
  const { TEMPORAL_PAYLOADS: payloads, TEMPORAL_CODEC_KEYS: keys, TEMPORAL_NAMESPACE: namespace } = config;
  if (!keys) {
    if (payloads === "plain") return { failureConverterPath };
    throw new ConfigError(withoutKeys);
  }
  const codec = new EncryptingCodec(new KeyRing(keys, payloadKeys), namespace);
  const reading = { encode: async (plain: Payloads) => plain, decode: (sealed: Payloads) => codec.decode(sealed) };
  return { failureConverterPath, payloadCodecs: [payloads === "plain" ? reading : codec] };
}

type Payloads = Parameters<EncryptingCodec["encode"]>[0];
