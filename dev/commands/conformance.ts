// `npm run conformance -- <host:port>`: says whether the connector of a card gateway, a carrier or a warehouse keeps what its contract promises. docs/connectors.md.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ConnectError } from "@connectrpc/connect";
import { ConfigError, loadConfig } from "#platform/config.ts";
import { TlsFiles } from "#platform/tls/tls-files.ts";
import type { TriedAddress } from "../connectors/carrier-trial.ts";
import { runCarrierConformance, runConformance, runWarehouseConformance } from "../connectors/conformance.ts";
import { Connection, connectionConfig } from "../connectors/connection.ts";
import { isRefusedCaller, type PromiseResult } from "../connectors/promises.ts";
import { StackError } from "../errors.ts";
import { usageError } from "../terminal/usage.ts";

const help = `Tries whether the connector of a card gateway keeps what its contract promises: it authorizes, captures, voids and refunds small amounts, loses
answers on the way, and repeats keys. With --carrier it tries that of a carrier, and books, calls off and turns back parcels; with --warehouse that of a warehouse, and has
shipments packed. It moves money, books parcels and packs where there are some: point it at a sandbox. Ends with 0 when every promise is kept, else with 1.

  npm run conformance -- localhost:50061
  npm run conformance -- localhost:50061 --approved pm_card_visa --declined pm_card_chargeDeclined
                                      the sandbox's cards; tok_approve and tok_decline by default
  npm run conformance -- localhost:50061 --currency EUR --amount 1000
                                      what an authorization is of, in minor units; a multiple of ten
  npm run conformance -- localhost:50061 --patience 60
                                      how many seconds a decision may take, or packing
  npm run conformance -- localhost:50062 --carrier
  npm run conformance -- localhost:50062 --carrier --taken GB/SW1Y4LB --refused GB/SIM-REFUSE --location BER-1 --service standard
                                      addresses that the sandbox serves and does not serve, where parcels are collected, and how they are sent
  npm run conformance -- localhost:50063 --warehouse
  npm run conformance -- localhost:50063 --warehouse --taken GB/SW1Y4LB --refused GB/SIM-UNPACKABLE --location BER-1 --sku espresso-cup
                                      addresses to which shipments are packed and cannot be, where they leave from, and an article
  npm run conformance -- localhost:50061 --tls <folder>
                                      with the certificate tls.crt, tls.key and ca.crt of a folder

A connector that asks who calls is shown the keys of services: SERVICE_KEY_FILE names the file with that of payments, or of shipping, and
BOOKS_SERVICE_KEY_FILE that of the books, by which everything is listed. SERVICE_KEY and BOOKS_SERVICE_KEY are the keys themselves.`;

function read(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        approved: { type: "string", default: "tok_approve" },
        declined: { type: "string", default: "tok_decline" },
        carrier: { type: "boolean", default: false },
        warehouse: { type: "boolean", default: false },
        taken: { type: "string", default: "GB/SW1Y 4LB" },
        refused: { type: "string" },
        sku: { type: "string", default: "espresso-cup" },
        location: { type: "string", default: "BER-1" },
        service: { type: "string", default: "standard" },
        currency: { type: "string", default: "EUR" },
        amount: { type: "string", default: "1000" },
        patience: { type: "string", default: "60" },
        tls: { type: "string" },
      },
    });
    const [address = "", ...more] = positionals;
    if (!values.help && (address === "" || more.length > 0)) throw new StackError("Name one connector, as host:port.");
    if (!/^[1-9]\d{0,10}0$/.test(values.amount)) throw new StackError("--amount is a multiple of ten.");
    if (!(Number(values.patience) > 0)) throw new StackError("--patience is a number of seconds above 0.");
    if (values.carrier && values.warehouse) throw new StackError("One connector is tried at a time.");
    const { refused = values.warehouse ? "GB/SIM-UNPACKABLE" : "GB/SIM-REFUSE" } = values;
    const addresses = { taken: readAddress(values.taken), refused: readAddress(refused) };
    return { ...values, addresses, address };
  } catch (error) {
    throw usageError(error);
  }
}

/** `DE/10115`. @throws StackError */
function readAddress(text: string): TriedAddress {
  const [, country = "", postalCode = ""] = /^([A-Z]{2})\/(.{0,20})$/.exec(text) ?? [];
  if (country === "")
    throw new StackError(`--taken and --refused are a country and a postal code, such as DE/10115: ${text}.`);
  return { country, postalCode };
}

/** The certificate, key and authority in a folder. */
function tlsIn(folder: string | undefined): TlsFiles | undefined {
  if (folder === undefined) return undefined;
  const [GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CA] = ["tls.crt", "tls.key", "ca.crt"].map((name) => join(folder, name));
  return TlsFiles.open({ GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CA, GRPC_TLS_REFRESH_MS: 60_000 });
}

function tell({ promise, broken, without }: PromiseResult): void {
  if (without !== undefined) console.log(`  – ${promise}: not tried, ${without}`);
  else console.log(broken === undefined ? `  ✓ ${promise}` : `  ✗ ${promise}\n      ${broken}`);
}

/** Tries the connector that was named. */
async function tryConnector(
  options: ReturnType<typeof read>,
  connection: Connection,
): Promise<readonly PromiseResult[]> {
  const { addresses, location: locationId, service: serviceLevel, sku } = options;
  const patienceMs = Number(options.patience) * 1_000;
  if (options.carrier) {
    const connector = await connection.carrier();
    return await runCarrierConformance({ connector, addresses, locationId, serviceLevel, patienceMs }, tell);
  }
  if (options.warehouse) {
    const connector = await connection.warehouse();
    return await runWarehouseConformance({ connector, addresses, locationId, sku, patienceMs }, tell);
  }
  const connector = await connection.gateway();
  const cards = { approved: options.approved, declined: options.declined };
  return await runConformance(
    { connector, cards, currency: options.currency, amount: BigInt(options.amount), patienceMs },
    tell,
  );
}

async function main(): Promise<number> {
  const options = read(process.argv.slice(2));
  if (options.help) {
    console.log(help);
    return 0;
  }
  const { address } = options;
  using connection = new Connection({ address, keys: loadConfig(connectionConfig), tls: tlsIn(options.tls) });
  const results = await tryConnector(options, connection);
  const broken = results.filter((result) => result.broken !== undefined).length;
  console.log(broken === 0 ? "Every promise is kept." : `${broken} of ${results.length} promises are broken.`);
  return broken === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof StackError || error instanceof ConnectError || error instanceof ConfigError)) throw error;
  const what = isRefusedCaller(error) ? "The connector refuses a call" : "The connector cannot be asked";
  console.error(error instanceof ConnectError ? `${what}: ${error.rawMessage}.` : error.message);
  process.exitCode = 1;
}
