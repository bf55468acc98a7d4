import { join } from "node:path";
import { root } from "../deploy/command/checkout.ts";

const environment = process.env;

/** Where the stack of `npm start` keeps its data, logs and secrets; ignored by git. */
export const defaultDataDirectory = join(root, ".data");

/** Colour on a terminal, unless NO_COLOR asks for none (https://no-color.org). */
export const colour = process.stdout.isTTY === true && !environment.NO_COLOR;

/** Whether npm started this process, so that npm's end is this process's end. */
export const startedByNpm = environment.npm_lifecycle_event !== undefined;

/** Where batch jobs tell their results to Prometheus; nowhere when it is not set. */
export const pushgatewayUrl = environment.PUSHGATEWAY_URL || undefined;

/** What a child needs of our environment; nothing else is passed on, so that a stray variable changes nothing. */
export function childEnvironment(additions: Readonly<Record<string, string>>): Record<string, string> {
  const names = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "NODE_EXTRA_CA_CERTS", "NODE_COMPILE_CACHE"];
  const passed = names.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(passed), ...additions };
}

/** Our whole environment with additions, for a command that a person could have typed here. */
export function fullEnvironment(additions: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...environment, ...additions };
}

/** What `dev/stack/migrate.ts` brings up to date: the URL of each database for its owner, by service. */
export function migrationUrls(): Readonly<Record<string, string>> {
  return JSON.parse(environment.MIGRATION_URLS ?? "{}") as Record<string, string>;
}

/** Repeats a run of the campaign's test that went wrong; a test prints its seed. */
export const campaignSeed = environment.ORDERMESH_CAMPAIGN_SEED
  ? Number(environment.ORDERMESH_CAMPAIGN_SEED)
  : undefined;
