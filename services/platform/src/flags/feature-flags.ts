import {
  type Client,
  type Logger as FlagLogger,
  OpenFeature,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
  StandardResolutionReasons,
} from "@openfeature/server-sdk";
import type { Registry } from "prom-client";
import type { Logger } from "#platform/log/logger.ts";
import { FlagEvaluations } from "./flag-evaluations.ts";

/** What a process decides by feature flags: the client of OpenFeature, as its documentation says. */
export type FeatureFlags = Client;

/** Feature flags while they are open. */
export interface OpenedFlags extends AsyncDisposable {
  readonly flags: FeatureFlags;
}

/** What flags are opened with. */
export interface FlagsOptions {
  /** In the JSON of flagd; undefined: each flag is what the code takes without one. */
  readonly file: string | undefined;
  readonly name: string;
  readonly logger: Pick<Logger, "info" | "warn" | "debug">;
  readonly registry: Registry;
}

/** A process may have several services, in tests: each has flags of its own. */
let opened = 0;

/**
 * Opens the feature flags of a service. Their file is judged by the process itself, without a daemon beside it, and read again within
 * seconds when it changes, also where Kubernetes swaps it. A file that is of no use changes nothing, and the log says so.
 *
 * @throws Error in one clear sentence when the file is of no use at the start
 */
export async function openFlags({ file, name, logger, registry }: FlagsOptions): Promise<OpenedFlags> {
  const domain = `${name}-${opened++}`;
  try {
    await OpenFeature.setProviderAndWait(domain, file === undefined ? noFlags : await fileProvider(file, logger));
  } catch (error) {
    throw new Error(`FLAGS_FILE: the file ${file} is of no use: ${(error as Error).message || "it cannot be read"}`);
  }
  const flags = OpenFeature.getClient(domain);
  flags.setLogger(toFlagLogger(logger));
  flags.addHooks(new FlagEvaluations(registry));
  flags.addHandler(ProviderEvents.ConfigurationChanged, (change) => {
    logger.info(`feature flags were read anew: ${change?.flagsChanged?.toSorted().join(", ")}`);
  });
  return {
    flags,
    [Symbol.asyncDispose]: async () => {
      flags.clearHooks();
      // The one before is closed with it, and its file watched no more.
      await OpenFeature.setProviderAndWait(domain, noFlags);
    },
  };
}

async function asInCode<T>(_flag: string, value: T): Promise<ResolutionDetails<T>> {
  return { value, reason: StandardResolutionReasons.DEFAULT };
}

/** For who has no file. OpenFeature's own provider for that is never ready: each evaluation would be an error, made and counted. */
const noFlags: Provider = {
  metadata: { name: "none" },
  resolveBooleanEvaluation: asInCode,
  resolveStringEvaluation: asInCode,
  resolveNumberEvaluation: asInCode,
  resolveObjectEvaluation: asInCode,
};

/** Loaded only by who has a file. */
async function fileProvider(file: string, logger: FlagsOptions["logger"]) {
  const { FlagdProvider } = await import("@openfeature/flagd-provider");
  const options = { resolverType: "in-process", offlineFlagSourcePath: file } as const;
  return new FlagdProvider(options, toFlagLogger(logger));
}

/** What the library says of its own accord is about the file, and of no use to who is on call until it keeps the flags from changing. */
function toFlagLogger(logger: FlagsOptions["logger"]): FlagLogger {
  const quiet = (...said: unknown[]) => void logger.debug(said.map(String).join(" "));
  const trouble = (...said: unknown[]) =>
    void logger.warn(`feature flags stay as they were: ${said.map(String).join(" ")}`);
  return { error: trouble, warn: trouble, info: quiet, debug: quiet };
}
