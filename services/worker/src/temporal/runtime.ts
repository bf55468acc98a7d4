import { createServer } from "node:net";
import type { Logger as TemporalLogger } from "@temporalio/common";
import { Runtime } from "@temporalio/worker";
import { listenOn } from "#platform/listen.ts";
import type { Logger } from "#platform/log/logger.ts";

const levels = { TRACE: "debug", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;

/** How often another free port is looked for when the one that was found is taken at the last moment. */
const portTries = 5;

/**
 * Lets the Temporal SDK and its native core write through the platform's logger, and tell their metrics on a port of the
 * loopback. Once per process, before all else.
 *
 * @param port of the metrics; 0 takes any free one
 * @returns where the metrics are
 */
export async function installRuntime(logger: Logger, port: number): Promise<{ metricsUrl: string }> {
  for (let tries = 1; ; tries++) {
    const address = `127.0.0.1:${port === 0 ? await freePort() : port}`;
    try {
      Runtime.install({
        logger: temporalLogger(logger),
        telemetryOptions: {
          logging: { filter: { core: "WARN", other: "ERROR" }, forward: {} },
          metrics: {
            attachServiceName: false,
            prometheus: {
              bindAddress: address,
              countersTotalSuffix: true,
              unitSuffix: true,
              useSecondsForDurations: true,
            },
          },
        },
        // The platform decides when the process drains.
        shutdownSignals: [],
      });
      return { metricsUrl: `http://${address}/metrics` };
    } catch (error) {
      if (port !== 0 || tries === portTries) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOn(server, "127.0.0.1", 0);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The platform's logger as Temporal's SDK takes it. */
export function temporalLogger(logger: Logger): TemporalLogger {
  const log: TemporalLogger["log"] = (level, message, meta = {}) => {
    // A task that the worker cannot do is shown whole by the SDK: with its input, in which addresses are.
    const { error, workflowId, orderId, task: _task, taskEncoded: _taskEncoded, ...rest } = meta;
    // The SDK tells about every worker's start and stop; for us these are details.
    const ours = level === "INFO" ? "debug" : levels[level];
    logger.log(ours, message, {
      "temporal.meta": rest,
      ...(typeof workflowId === "string" && { "saga.id": workflowId }),
      ...(typeof orderId === "string" && { "order.id": orderId }),
      ...(error !== undefined && { err: error }),
    });
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
