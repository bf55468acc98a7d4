import type { Logger as TemporalLogger } from "@temporalio/common";
import { Runtime } from "@temporalio/worker";
import type { Logger } from "#platform/logger.ts";

const levels = { TRACE: "debug", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;

/** Lets the Temporal SDK and its native core write through the platform's logger. Once per process, before all else. */
export function installRuntime(logger: Logger): void {
  Runtime.install({
    logger: temporalLogger(logger),
    telemetryOptions: { logging: { filter: { core: "WARN", other: "ERROR" }, forward: {} } },
    // The platform decides when the process drains.
    shutdownSignals: [],
  });
}

function temporalLogger(logger: Logger): TemporalLogger {
  const log: TemporalLogger["log"] = (level, message, meta = {}) => {
    const { error, ...rest } = meta;
    // The SDK tells about every worker's start and stop; for us these are details.
    const ours = level === "INFO" ? "debug" : levels[level];
    logger.log(ours, message, { "temporal.meta": rest, ...(error === undefined ? {} : { err: error }) });
  };
  return {
    log,
    trace: (message, meta) => log("TRACE", message, meta),
    debug: (message, meta) => log("DEBUG", message, meta),
    info: (message, meta) => log("INFO", message, meta),
    warn: (message, meta) => log("WARN", message, meta),
    error: (message, meta) => log("ERROR", message, meta),
  };
}
