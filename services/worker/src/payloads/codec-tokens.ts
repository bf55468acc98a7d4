import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { Secret } from "#platform/secret.ts";

/** What can be asked for. Reading needs `decode` alone; to write, for example signals by hand, somebody needs both. */
export type CodecRight = "decode" | "encode";

/** Who may ask for what. */
export interface CodecReader {
  readonly name: string;
  readonly rights: ReadonlySet<CodecRight>;
}

interface Entry extends CodecReader {
  readonly digest: Buffer;
}

const line = /^([A-Za-z0-9@._-]{1,64})\s+([\x21-\x7e]{32,})(\s+encode)?$/;

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** One a line: who it is, a space, a token of at least 32 characters and, for whoever may also write, ` encode`. @throws RangeError */
function readTokens(text: string): readonly Entry[] {
  const lines = text.split(/\r?\n/).map((each) => each.trim());
  return lines.flatMap((each, index) => {
    if (each === "" || each.startsWith("#")) return [];
    const [whole, name = "", token = "", writes] = line.exec(each) ?? [];
    if (!whole)
      throw new RangeError(`has in line ${index + 1} no token: that is a name, a space, and 32 characters or more`);
    return [{ name, digest: digestOf(token), rights: new Set<CodecRight>(writes ? ["decode", "encode"] : ["decode"]) }];
  });
}

/** The rule of a setting that holds tokens. */
export const tokensText = z.string().superRefine((text, context) => {
  try {
    readTokens(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
});

/** Those who may see what is encrypted. Who is taken from the file may no longer. */
export class CodecTokens {
  readonly #secret: Secret;
  #text = "";
  #entries: readonly Entry[] = [];

  /** @param secret as {@link tokensText} wants it */
  constructor(secret: Secret) {
    this.#secret = secret;
  }

  /** Whose token this is; undefined when it is nobody's. */
  find(token: string): CodecReader | undefined {
    const { text } = this.#secret;
    if (text !== this.#text) {
      this.#entries = readTokens(text);
      this.#text = text;
    }
    const digest = digestOf(token);
    return this.#entries.find((entry) => timingSafeEqual(entry.digest, digest));
  }
}
