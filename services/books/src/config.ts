import { z } from "zod";
import { type ConfigOf, databaseUrl, platformConfig } from "#platform/config.ts";
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

/** What the books read from their environment. Nobody calls them, so of the platform's they have what is said of the log, and of calls that are made. */
export const booksConfig = {
  SERVICE_NAME: platformConfig.SERVICE_NAME,
  LOG_LEVEL: platformConfig.LOG_LEVEL,
  LOG_FORMAT: platformConfig.LOG_FORMAT,
  GRPC_TLS_CERT: platformConfig.GRPC_TLS_CERT,
  GRPC_TLS_KEY: platformConfig.GRPC_TLS_KEY,
  GRPC_TLS_CA: platformConfig.GRPC_TLS_CA,
  GRPC_TLS_REFRESH_MS: platformConfig.GRPC_TLS_REFRESH_MS,
  /** What the books prove with who they are, where the connector asks for it. */
  SERVICE_KEY: platformConfig.SERVICE_KEY,
  ...databaseUrls,
  /** The connector of the card gateway, as payments has it: it says what the gateway did. */
  GATEWAY_CONNECTOR_ADDRESS: z.string().min(1),
  /** The connector of the carrier, as shipping has it: it says what the carrier has. */
  CARRIER_CONNECTOR_ADDRESS: z.string().min(1),
  /** The Pushgateway that is told the result; nobody is told when it is not set. */
  PUSHGATEWAY_URL: z.url().optional(),
  /** After so many milliseconds a comparison that has not ended is given up. */
  BOOKS_DEADLINE_MS: z.coerce.number().int().min(1).default(240_000),
  /** Only what was made from then on, or until then, is compared; nobody is told. See {@link idsOf}. */
  BOOKS_SINCE: z.string().optional(),
  BOOKS_UNTIL: z.string().optional(),
};

/** The values that the books work with. */
export type BooksConfig = ConfigOf<typeof booksConfig>;
