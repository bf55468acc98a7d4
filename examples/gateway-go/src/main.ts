// `npm run example -- gateway-go`: a shop whose card gateway is a program in Go.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { GatewayOperationKind } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { plainClients } from "../../../dev/shop/clients.ts";
import { demonstrate } from "../../../dev/shop/demo.ts";
import { freePorts } from "../../../dev/stack/free-ports.ts";
import { sparePort } from "../../../dev/stack/layout.ts";
import { Stack } from "../../../dev/stack/stack.ts";
import { Screen } from "../../../dev/terminal/screen.ts";
import { type Balance, type BooksSources, takeBalance } from "../../../services/books/src/balance/balance.ts";
import { accountedServices } from "../../../services/services.ts";
import { GoGateway } from "./go-gateway.ts";

/** A stack whose payments calls the gateway in Go, and that gateway. */
export interface GoShop extends AsyncDisposable {
  readonly stack: Stack;
  readonly gateway: GoGateway;
  readonly connector: Client<typeof GatewayConnectorService>;
  /** Compares what the services and the gateway have written down. */
  balance(): Promise<Balance>;
}

/** Starts both, in folders that are gone afterwards. */
export async function openGoShop(say: (sentence: string) => void): Promise<GoShop> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-gateway-"));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const ports = await freePorts();
  const journal = join(folder, "gateway.journal");
  const gateway = opened.use(await GoGateway.start({ port: sparePort(ports, 0), journal, say }));
  const environment = { payments: { GATEWAY_CONNECTOR_ADDRESS: gateway.address } };
  const stack = opened.use(await Stack.start({ ports, environment, say }));
  const clients = plainClients(stack);
  opened.defer(() => clients.close());
  const connector = clients.client(GatewayConnectorService, gateway.address);
  const carrier = clients.client(CarrierConnectorService, stack.address("simulators"));
  const urls = Object.fromEntries(
    accountedServices.map((name) => [name, stack.databaseUrl(name, "postgres")]),
  ) as BooksSources["urls"];
  const everything = opened.move();
  return {
    stack,
    gateway,
    connector,
    balance: () => takeBalance({ urls, gateway: connector, carrier }),
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  };
}

/** Sells, has something come back, and says what the gateway did and whether the books agree. */
export async function run(): Promise<void> {
  const screen = new Screen(false);
  await using shop = await openGoShop((sentence) => screen.say(sentence));
  await demonstrate(shop.stack, screen, new AbortController().signal);
  const { operations } = await shop.connector.listOperations({});
  screen.print();
  screen.title("What the gateway in Go has in its journal");
  for (const { kind, amount, outcome } of operations) {
    const { currency = "", amount: minor = 0n } = amount ?? {};
    screen.print(`  ${GatewayOperationKind[kind].padEnd(9)} ${currency} ${minor} minor units: ${outcome?.result.case}`);
  }
  const { inBalance, findings } = await shop.balance();
  const wrong = findings.flatMap((finding) => finding.wrong);
  screen.say(inBalance ? "Stock, money and orders agree, with the gateway, too." : wrong.join("\n"));
  if (!inBalance) process.exitCode = 1;
}
