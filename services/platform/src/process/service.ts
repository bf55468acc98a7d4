import type { z } from "zod";
import { ConfigError } from "#platform/config.ts";
import { PoolerError } from "#platform/database/session.ts";
import { toggleDebugOn } from "#platform/log/log-level.ts";
import { LogOutput } from "#platform/log/log-output.ts";
import { describe, type Logger } from "#platform/log/logger.ts";
import { runMigrations } from "./migrations.ts";
import { launch } from "./runtime.ts";
import type { ServiceDefinition } from "./service-definition.ts";
import { StartError } from "./startup.ts";

export { register, type ServiceRegistration } from "#platform/registration.ts";
export type { ServiceContext, ServiceDefinition, ServiceParts } from "./service-definition.ts";

/** Says what went wrong and ends the process. */
function fail(name: string, error: unknown): never {
  const clear = error instanceof ConfigError || error instanceof StartError || error instanceof PoolerError;
  const text =
    error instanceof Error && !clear ? describe(error) : error instanceof Error ? error.message : String(error);
  process.stderr.write(`${name}: ${text}\n`);
  process.exit(1);
}

/** Ends the process once its last lines are written. */
function exitAfterLog(logger: Logger, output: LogOutput, code: number): void {
  logger.once("finish", () => void output.flush().then(() => process.exit(code))).end();
}

/** Nothing that was not foreseen may go on half-working: the process is started again by whoever runs it. */
function endOnFaults(name: string, logger: () => Logger | undefined, output: LogOutput): void {
  const end = (error: unknown): void => {
    const log = logger();
    if (!log) fail(name, error);
    log.error("the process ends because of an error that nothing handles", { err: error });
    exitAfterLog(log, output, 1);
    setTimeout(() => process.exit(1), 2_000);
  };
  process.on("uncaughtException", end);
  // Warnings of Node go there. Who closed it does not want to read them, and that is no fault.
  process.stderr.on("error", () => undefined);
  process.on("unhandledRejection", end);
}

async function serve<S extends z.ZodRawShape>(definition: ServiceDefinition<S>): Promise<void> {
  let logger: Logger | undefined;
  const output = new LogOutput(process.stdout.fd);
  endOnFaults(definition.name, () => logger, output);
  const service = await launch(definition, undefined, output);
  logger = service.logger;
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    service.logger.info(`${signal}: draining`);
    service.drain().then(
      () => {
        service.logger.info("stopped");
        exitAfterLog(service.logger, output, 0);
      },
      (error: unknown) => fail(definition.name, error),
    );
  };
  toggleDebugOn("SIGUSR2", logger);
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

/**
 * Runs one process: `node main.ts` serves, `node main.ts migrate up|down` migrates, other words are commands of the service. Never throws: what goes wrong is
 * one clear sentence, and the process ends with a code other than 0.
 */
export async function startService<S extends z.ZodRawShape>(definition: ServiceDefinition<S>): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  const own = command === undefined ? undefined : definition.commands?.[command];
  try {
    if (command === undefined) await serve(definition);
    else if (command === "migrate" && definition.database) await runMigrations(definition.database, rest);
    else if (own) await own(rest);
    else {
      const names = ["(none) to serve", "migrate up", "migrate down [name]", ...Object.keys(definition.commands ?? {})];
      throw new StartError(`unknown command "${command}"; there are: ${names.join(", ")}`);
    }
  } catch (error) {
    fail(definition.name, error);
  }
}
