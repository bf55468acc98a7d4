import type { Logger } from "winston";

/** How much a process says, from little to all. */
export const logLevels = ["error", "warn", "info", "debug"] as const;

/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number];

/** Whether a text names a level. */
export function isLogLevel(text: string): text is LogLevel {
  return logLevels.some((level) => level === text);
}

/** Changes what a running process writes, its child loggers included, and says so at a level that is written. */
export function setLogLevel(logger: Logger, level: LogLevel): void {
  const before = logger.level;
  if (before === level) return;
  logger.level = level;
  logger.log(level === "error" ? "error" : "warn", `log level is now ${level}, was ${before}`);
}

/**
 * Switches between debug and the present level whenever the process gets the signal: `kill -USR2 <pid>`, or in a
 * cluster `kubectl exec <pod> -- kill -USR2 1`. (Node keeps SIGUSR1 to itself, for its debugger.)
 * @returns ends it
 */
export function toggleDebugOn(signal: NodeJS.Signals, logger: Logger): () => void {
  let usual = logger.level === "debug" || !isLogLevel(logger.level) ? "info" : logger.level;
  const toggle = () => {
    if (logger.level === "debug") return setLogLevel(logger, usual);
    if (isLogLevel(logger.level)) usual = logger.level;
    setLogLevel(logger, "debug");
  };
  process.on(signal, toggle);
  return () => process.off(signal, toggle);
}
