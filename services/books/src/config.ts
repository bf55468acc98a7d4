import { z } from "zod";
import { databaseUrl, platformConfig } from "#platform/config.ts";
import { secret } from "#platform/secret.ts";
import { type AccountedService, accountedServices } from "../../services.ts";

/** The variable with the connection to a service's database. */
export type DatabaseVariable = `${Uppercase<AccountedService>}_DATABASE_URL`;

/** `ORDERS_DATABASE_URL` of orders. */
export function databaseVariable(service: AccountedService): DatabaseVariable {
  return `${service.toUpperCase() as Uppercase<AccountedService>}_DATABASE_URL`;
}

/** A connection to each database as a role that may read what is compared, and nothing else. */
const databaseUrls = Object.fromEntries(
  accountedServices.map((service) => [databaseVariable(service), secret(databaseUrl)]),
) as Readonly<Record<DatabaseVariable, ReturnType<typeof secret>>>;

/** What the books read from their environment. Nobody calls them, so of the platform's they have the log's alone. */
export const booksConfig = {
  SERVICE_NAME: platformConfig.SERVICE_NAME,
  LOG_LEVEL: platformConfig.LOG_LEVEL,
  LOG_FORMAT: platformConfig.LOG_FORMAT,
  ...databaseUrls,
  /** The Pushgateway that is told the result; nobody is told when it is not set. */
  PUSHGATEWAY_URL: z.url().optional(),
  /** After so many milliseconds a comparison that has not ended is given up. */
  BOOKS_DEADLINE_MS: z.coerce.number().int().min(1).default(240_000),
  /** Only what was made from then on, or until then, is compared; nobody is told. See {@link idsOf}. */
  BOOKS_SINCE: z.string().optional(),
  BOOKS_UNTIL: z.string().optional(),
};
