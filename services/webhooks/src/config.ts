import { z } from "zod";
import { type ConfigOf, databaseConfig, type EventsConfig, type PlatformConfig } from "#platform/config.ts";
import { networksOf } from "#platform/limit-settings.ts";
import { personalConfig } from "#platform/personal/personal-config.ts";

const milliseconds = z.coerce.number().int().min(0);
const minute = 60_000;
const hour = 60 * minute;

/** The whole numbers of a list, each in its range. */
function numbersIn(range: { readonly least: number; readonly most: number; readonly name: string }) {
  return (text: string, context: z.RefinementCtx<string>): readonly number[] => {
    const given = text.split(",").map((part) => Number(part.trim() || Number.NaN));
    const fits = (each: number) => Number.isInteger(each) && each >= range.least && each <= range.most;
    if (given.every(fits)) return given;
    const message = `must be ${range.name} from ${range.least} to ${range.most} with commas between`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
}

/** After which time a delivery is tried again: those that Standard Webhooks proposes, some 76 hours together. */
const usualPauses = [5_000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour];

/** What the webhooks service reads besides the platform's own. Durations are milliseconds. */
export const webhooksConfig = {
  ...databaseConfig,
  ...personalConfig,
  /** The ports that endpoints may have, with commas between. */
  WEBHOOK_PORTS: z
    .string()
    .default("443,8443")
    .transform(numbersIn({ least: 1, most: 65_535, name: "ports" })),
  /** Whether an endpoint may be without TLS (`http://`): for development alone. */
  WEBHOOK_PLAIN_HTTP: z.stringbool().default(false),
  /**
   * Networks that are not public, and in which endpoints may be all the same: addresses and networks, with commas between. None by
   * default: nothing is sent to private, link-local or reserved addresses, nor to those of the machine itself.
   */
  WEBHOOK_NETWORKS: z.string().default("").transform(networksOf),
  /** How long one attempt may take, from looking up the name to the end of the answer. */
  WEBHOOK_TIMEOUT_MS: milliseconds.min(100).default(15_000),
  /** The pauses between the attempts of a delivery, with commas between; behind the last attempt it has failed. Each is up to a fifth longer. */
  WEBHOOK_RETRY_PAUSES_MS: z
    .string()
    .default(usualPauses.join(","))
    .transform(numbersIn({ least: 10, most: 24 * hour, name: "milliseconds" })),
  /** Requests to one endpoint at the same time, from each process. */
  WEBHOOK_LANES: z.coerce.number().int().min(1).max(64).default(4),
  /** How many endpoints there may be. */
  WEBHOOK_ENDPOINTS_MAX: z.coerce.number().int().min(1).max(1_000).default(100),
  /** How often is looked for what is to be delivered; four times as seldom while there is nothing. */
  WEBHOOK_SWEEP_MS: milliseconds.min(10).default(250),
  /** For how many days it is kept what endpoints were told, and what was kept for those that are disabled. */
  WEBHOOK_KEEP_DAYS: z.coerce.number().int().min(1).max(3_650).default(30),
};

/** The values that the service works with. */
export type WebhooksConfig = ConfigOf<typeof webhooksConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
