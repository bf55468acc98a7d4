import { z } from "zod";
import type { ConfigOf } from "#platform/config.ts";
import { KeyRing, keysText } from "#platform/key-ring.ts";
import { secret } from "#platform/secret.ts";
import { FileKeys, masterKeys } from "./key-provider.ts";
import { PersonalData } from "./personal-data.ts";

/** What a service reads that keeps personal data. */
export const personalConfig = {
  /**
   * Whether names, contacts and addresses are written sealed, where there are master keys. `plain` still reads what is sealed, and writes
   * it back plain by and by: for the rollout from a version that cannot read it, and for the way back to one.
   */
  PERSONAL_DATA: z.enum(["sealed", "plain"]).default("sealed"),
  /** The master keys, one a line: `name base64-of-32-bytes`. The last one wraps, all unwrap. Without any, personal data lies plain. */
  PERSONAL_DATA_KEYS: secret(keysText).optional(),
  /** Between two looks for what is to be sealed yet, or wrapped by another master key; four times that while there is nothing. */
  PERSONAL_DATA_SWEEP_MS: z.coerce.number().int().min(1).default(30_000),
};

/** Seals and opens as a configuration says. */
export function personalDataOf(config: ConfigOf<typeof personalConfig>): PersonalData {
  const { PERSONAL_DATA_KEYS: secretKeys, PERSONAL_DATA: mode } = config;
  const keys = secretKeys && new FileKeys(new KeyRing(secretKeys, masterKeys));
  return new PersonalData({ keys, seals: mode === "sealed" });
}
