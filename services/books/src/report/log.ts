import type { Logger } from "#platform/log/logger.ts";
import type { Balance } from "../balance/balance.ts";
import type { Verification } from "./push.ts";

/**
 * Writes what was compared, what rests, and what came out: a line for each comparison, an error where something does not
 * agree. All sentences on one fault are in one line: the log leaves out lines that differ only in ids.
 */
export function logBalance(logger: Pick<Logger, "info" | "error">, balance: Balance, result: Verification): void {
  for (const { checked, wrong } of balance.findings) {
    if (wrong.length === 0) logger.info(`in balance: ${checked}`);
    else logger.error(`NOT in balance: it is not so that ${checked}`, { "books.wrong": wrong });
  }
  for (const { status, state, orders, longestSeconds } of balance.rests) {
    const facts = { "orders.count": orders, "books.longest_seconds": longestSeconds };
    logger.info(`orders that are ${status}: ${state}`, facts);
  }
  const facts = {
    "books.checks": result.checks,
    "books.findings": result.findings,
    "orders.count": result.underway,
    "event.duration": Math.round(result.seconds * 1e9),
  };
  if (balance.inBalance) logger.info("the books are in balance", facts);
  else logger.error("the books are NOT in balance", facts);
}
