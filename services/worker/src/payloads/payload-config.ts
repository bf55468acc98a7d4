import { z } from "zod";
import { type ConfigOf, originsOf, type Together } from "#platform/config.ts";
import { keysText } from "#platform/key-ring.ts";
import { secret } from "#platform/secret.ts";
import { tokensText } from "./codec-tokens.ts";

/** What the worker reads about what Temporal keeps. */
export const payloadConfig = {
  /**
   * Whether Temporal keeps ciphertext. `plain` still reads what is encrypted when there are keys: for the rollout from a version that
   * cannot read it.
   */
  TEMPORAL_PAYLOADS: z.enum(["encrypted", "plain"]).default("encrypted"),
  /** The keys, one a line: `name base64-of-32-bytes`. The last one encrypts, all decrypt. */
  TEMPORAL_CODEC_KEYS: secret(keysText).optional(),
  /** Who may have payloads shown by the HTTP port, one a line: `name token`, and ` encode` behind it for whoever may write as well. */
  CODEC_TOKENS: secret(tokensText).optional(),
  /** The origins of the Temporal UI, with commas between. */
  CODEC_UI_ORIGINS: z.string().default("").transform(originsOf),
};

/** What is said where keys are missing. */
export const withoutKeys =
  "TEMPORAL_CODEC_KEYS or TEMPORAL_CODEC_KEYS_FILE: is not set: what Temporal keeps is encrypted with its keys; " +
  "TEMPORAL_PAYLOADS=plain leaves names, addresses and card tokens readable there";

/** What is encrypted needs a key. */
export const payloadsTogether: Together = (given) => {
  const { TEMPORAL_PAYLOADS: payloads, TEMPORAL_CODEC_KEYS: keys, TEMPORAL_CODEC_KEYS_FILE: file } = given;
  return payloads === "plain" || keys || file ? [] : [withoutKeys];
};

/** The values of {@link payloadConfig}. */
export type PayloadConfig = ConfigOf<typeof payloadConfig>;
