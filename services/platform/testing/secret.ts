import { z } from "zod";
import { Secret } from "#platform/secret.ts";

/** A secret as it comes from the environment. */
export function secretOf(text: string): Secret {
  return new Secret(text, z.string());
}

/** What page tokens are sealed with where nobody asks. */
export const pageTokenSecret = secretOf("a secret of at least thirty-two characters");
