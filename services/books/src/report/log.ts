import type { Logger } from "#platform/log/logger.ts";
import type { Balance } from "../balance/balance.ts";
import { describeProgress, type Progress } from "../balance/progress.ts";
import type { Verification } from "./push.ts";

/** How often is told how far a comparison has come, in milliseconds. */
const tellEveryMs = 10_000;

/** Writes how far a comparison has come, if it takes long. */
export class ProgressLog {
  readonly #logger: Pick<Logger, "info">;
  #next = performance.now() + tellEveryMs;
  /** What came last. */
  last: Progress | undefined;

  constructor(logger: Pick<Logger, "info">) {
    this.#logger = logger;
  }

  tell(progress: Progress): void {
    this.last = progress;
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + tellEveryMs;
    this.#logger.info(`compared ${describeProgress(progress)}`);
  }
}

/**
 * Writes what was compared, what rests, and what came out: a line for each comparison, an error where something does not
 * agree. All sentences on one fault are in one line: the log leaves out lines that differ only in ids.
 */
export function logBalance(
  logger: Pick<Logger, "info" | "warn" | "error">,
  balance: Balance,
  result: Verification,
): void {
  for (const { checked, wrong } of balance.findings) {
    if (wrong.length === 0) logger.info(`in balance: ${checked}`);
    else logger.error(`NOT in balance: it is not so that ${checked}`, { "books.wrong": wrong });
  }
  for (const { status, state, step, orders, longestSeconds } of balance.rests) {
    const facts = { "orders.count": orders, "books.longest_seconds": longestSeconds };
    logger.info(`orders that are ${status}: ${state}${step ? ` at ${step}` : ""}`, facts);
  }
  const { outside } = balance;
  if (outside.operations > 0) {
    const done = { "books.outside": outside.latest, "books.outside_operations": outside.operations };
    logger[outside.recent > 0 ? "warn" : "info"]("done at the card gateway without us", done);
  }
  const facts = {
    "books.checks": result.checks,
    "books.findings": result.findings,
    "books.orders": balance.orders,
    "books.most_rows": balance.effort.mostRows,
    "books.longest_moment_ms": Math.round(balance.effort.longestMs),
    "orders.count": result.underway,
    "event.duration": Math.round(result.seconds * 1e9),
  };
  const what = balance.isWhole ? "the books are" : "the part of the books that was compared is";
  if (balance.inBalance) logger.info(`${what} in balance`, facts);
  else logger.error(`${what} NOT in balance`, facts);
}
