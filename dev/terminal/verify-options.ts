import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { IdRange } from "../../services/books/src/balance/range.ts";
import { idsOf, LimitError } from "../../services/books/src/limit.ts";
import { defaultDataDirectory } from "../config.ts";
import { StackError } from "../errors.ts";
import { usageError } from "./usage.ts";

/** What `npm run verify` was asked for. */
export interface VerifyOptions {
  readonly help: boolean;
  readonly dataDirectory: string;
  /** What is compared; everything when not given. */
  readonly ids: IdRange | undefined;
}

/** The answer to `npm run verify -- --help`. */
export const help = `Says whether orders, money, stock, parcels and audit logs agree, each with the others and with what gateway and carrier
remember, and how the orders rest that have not come to their end. Reads only, at any time, also while the stack runs.
Ends with 0 when all is in balance, with 1 when not, with 2 when it could not be compared.

  npm run verify                           all there is of the data in .data/
  npm run verify -- --data <folder>        of other data
  npm run verify -- --since 24h            only what was made in the last 24 h; 90m and 7d are such ages, too
  npm run verify -- --since 2026-11-29 --until 2026-11-30T08:00:00Z
                                           only what was made then
  npm run verify -- --since <order> --until <order>
                                           only from one order to another, or one order when they are the same

With --since or --until nobody is told the result, and what belongs to no payment or parcel is not compared.`;

/** Reads the command line. @throws StackError for what it does not know */
export function parseVerifyOptions(args: readonly string[]): VerifyOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h", default: false },
        data: { type: "string", default: defaultDataDirectory },
        since: { type: "string" },
        until: { type: "string" },
      },
    });
    const ids = idsOf(values, { since: "--since", until: "--until" });
    return { help: values.help, dataDirectory: resolve(values.data), ids };
  } catch (error) {
    throw error instanceof LimitError ? new StackError(error.message) : usageError(error);
  }
}
