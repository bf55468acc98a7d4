import { ConfigError, loadConfig } from "#platform/config.ts";
import { LogOutput } from "#platform/log/log-output.ts";
import { createLogger, describe, type Logger } from "#platform/log/logger.ts";
import { orLate } from "#platform/wait.ts";
import { type AccountedService, accountedServices } from "../../services.ts";
import { BooksError } from "./balance/ask.ts";
import { takeBalance } from "./balance/balance.ts";
import { describeProgress } from "./balance/progress.ts";
import { type BooksConfig, booksConfig, databaseVariable } from "./config.ts";
import { openConnectors } from "./connectors.ts";
import { idsOf, LimitError } from "./limit.ts";
import { logBalance, ProgressLog } from "./report/log.ts";
import { pushVerification, toVerification } from "./report/push.ts";

/** What the process ends with. */
export const exitCodes = {
  balanced: 0,
  unbalanced: 1,
  /** The books could not be compared, or nobody could be told that they balance. */
  unchecked: 2,
} as const;

/** What came out, as the process says it with its exit code. */
export type Outcome = keyof typeof exitCodes;

/**
 * Compares the books once, writes how it goes and what was found, and tells the Pushgateway, unless only a part was compared: that
 * says nothing of the whole.
 * @throws BooksError @throws LimitError
 */
export async function checkBooks(config: BooksConfig, logger: Logger, progress: ProgressLog): Promise<Outcome> {
  const start = performance.now();
  const urls = accountedServices.map((service) => [service, config[databaseVariable(service)].text] as const);
  using connectors = await openConnectors(config, logger);
  const limit = { since: config.BOOKS_SINCE, until: config.BOOKS_UNTIL };
  const ids = idsOf(limit, { since: "BOOKS_SINCE", until: "BOOKS_UNTIL" });
  const sources = {
    urls: Object.fromEntries(urls) as Record<AccountedService, string>,
    gateway: connectors.gateway,
    carrier: connectors.carrier,
  };
  const balance = await takeBalance(sources, { ids, onProgress: (step) => progress.tell(step) });
  const result = toVerification(balance, (performance.now() - start) / 1_000);
  logBalance(logger, balance, result);
  const isTold = !config.PUSHGATEWAY_URL || !balance.isWhole || (await tell(config.PUSHGATEWAY_URL, result, logger));
  if (!balance.inBalance) return "unbalanced";
  return isTold ? "balanced" : "unchecked";
}

async function tell(url: string, result: Parameters<typeof pushVerification>[1], logger: Logger): Promise<boolean> {
  try {
    await pushVerification(url, result);
    return true;
  } catch (err) {
    logger.error("the result could not be pushed to the Pushgateway", { err });
    return false;
  }
}

/** As {@link checkBooks}; whatever keeps it from its end is written, too. */
async function checkInTime(config: BooksConfig, logger: Logger): Promise<Outcome> {
  const progress = new ProgressLog(logger);
  try {
    const outcome = await orLate(checkBooks(config, logger, progress), config.BOOKS_DEADLINE_MS);
    if (outcome) return outcome;
    const far = progress.last ? `; what came last: ${describeProgress(progress.last)}` : "";
    logger.error(`the books could not be compared within ${config.BOOKS_DEADLINE_MS} ms${far}`);
  } catch (err) {
    if (err instanceof BooksError || err instanceof LimitError) logger.error(err.message);
    else logger.error("the books could not be compared", { err });
  }
  return "unchecked";
}

/** Says what went wrong. The code is never Node's own, 1: that would say that the books do not balance. */
function fail(error: unknown): never {
  const isClear = error instanceof ConfigError;
  const text = error instanceof Error ? (isClear ? error.message : describe(error)) : String(error);
  process.stderr.write(`books: ${text}\n`);
  process.exit(exitCodes.unchecked);
}

/** Runs the program: once, and ends the process with what came out. */
export async function startBooks(): Promise<void> {
  process.on("uncaughtException", fail);
  const config = loadConfig(booksConfig);
  const output = new LogOutput(process.stdout.fd);
  const { logger, repeated } = createLogger({
    name: config.SERVICE_NAME ?? "books",
    level: config.LOG_LEVEL,
    format: config.LOG_FORMAT,
    stream: output,
  });
  const end = (outcome: Outcome): void => {
    repeated.settle(true);
    logger.once("finish", () => void output.flush().then(() => process.exit(exitCodes[outcome]))).end();
  };
  // The first process of a container is not ended by a signal that it does not handle.
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      logger.error(`${signal}: the comparison is given up`);
      end("unchecked");
    });
  }
  end(await checkInTime(config, logger));
}
