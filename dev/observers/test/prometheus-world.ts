import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import pg from "pg";
import { stringify } from "yaml";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { Clients } from "#platform/grpc/clients.ts";
import { type UntilOptions, until } from "#testing/until.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { services } from "../../../services/services.ts";
import { plainClients } from "../../shop/clients.ts";
import { isOver } from "../../shop/demo.ts";
import { Shopper, type Wish } from "../../shop/shopper.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { type Family, familiesIn } from "../metrics-page.ts";
import { alertmanagerProgram, postgresExporterProgram, prometheusProgram, pushgatewayProgram } from "../prometheus.ts";
import { localConfiguration } from "../prometheus-configuration.ts";
import { Monitoring, query, type Sample } from "./monitoring.ts";

/** What the global Prometheus is told, and its rules. */
export const federation = join(root, "deploy/observability/prometheus/federation.yaml");
export const federationRules = join(root, "deploy/observability/prometheus/federation-rules.yaml");
const role = join(root, "deploy/observability/prometheus/postgres-exporter/role.sql");

/** How long a slow machine may take until something that happened is in Prometheus. */
export const visible: UntilOptions = { deadlineMs: 60_000, everyMs: 100 };

/** A running stack and a real Prometheus that asks it, its database and what batch jobs pushed. */
export class World implements AsyncDisposable {
  readonly stack: Stack;
  readonly url: string;
  readonly #monitoring: Monitoring;
  readonly #pushgateway: string;

  private constructor(stack: Stack, monitoring: Monitoring, addresses: { prometheus: string; pushgateway: string }) {
    this.stack = stack;
    this.url = `http://${addresses.prometheus}`;
    this.#monitoring = monitoring;
    this.#pushgateway = `http://${addresses.pushgateway}`;
  }

  static async start(): Promise<World> {
    // Spans leave at once, so that the traces that exemplars name can be looked at.
    // And packing takes longer than a busy machine needs to take a cancellation.
    const environment = { all: { OTEL_BSP_SCHEDULE_DELAY: "200" }, simulators: { PACKING_MS: "5000" } };
    const stack = await Stack.start({ ports: await freePorts(), observers: ["jaeger", "nats", "mail"], environment });
    const monitoring = await Monitoring.open();
    try {
      const addresses = await startAll(stack, monitoring);
      return new World(stack, monitoring, addresses);
    } catch (error) {
      await monitoring[Symbol.asyncDispose]();
      await stack.stop();
      throw error;
    }
  }

  query(expression: string): Promise<Sample[]> {
    return query(this.url, expression);
  }

  /** Asks a database as a superuser. */
  async ask<T extends pg.QueryResultRow>(database: string, sql: string): Promise<T[]> {
    return asking(this.stack.databaseUrl(database, "postgres"), async (client) => (await client.query<T>(sql)).rows);
  }

  /** Every metric that our processes tell, with all labels that any of them gives it. */
  async families(): Promise<Family[]> {
    const byName = new Map<string, Family>();
    for (const service of services) {
      const url = `${this.stack.httpUrl(service)}/metrics`;
      const text = async () => (await fetch(url, { signal: AbortSignal.timeout(5_000) })).text();
      // The worker tells what is new of Temporal's only from the scrape after.
      await text();
      for (const family of familiesIn(await text())) {
        const labels = new Set([...(byName.get(family.name)?.labels ?? []), ...family.labels]);
        byName.set(family.name, { ...family, labels: [...labels].sort() });
      }
    }
    return [...byName.values()];
  }

  /** Runs the batch job that compares the books and pushes what it finds; returns what it printed. */
  verify(): Promise<string> {
    const script = join(root, "dev/commands/verify.ts");
    const env = { ...process.env, PUSHGATEWAY_URL: this.#pushgateway };
    const args = [script, "--data", this.stack.blueprint.dataDirectory];
    return run(process.execPath, args, { cwd: root, env, timeoutMs: 60_000, keepOutput: true });
  }

  /** Starts the global Prometheus, which knows of one cluster, and returns its URL. */
  async federation(): Promise<string> {
    const folder = join(this.#monitoring.folder, "global");
    const clusters = join(folder, "clusters.json");
    await mkdir(folder, { recursive: true });
    await writeFile(
      clusters,
      JSON.stringify([{ targets: [new URL(this.url).host], labels: { source_cluster: "one" } }]),
    );
    const configuration = (await readFile(federation, "utf8"))
      .replace("/etc/prometheus/clusters/*.yaml", clusters)
      .replace("/etc/prometheus/federation-rules.yaml", federationRules)
      .replaceAll("_interval: 1m", "_interval: 1s");
    const address = await this.#monitoring.address();
    const place = { folder, address };
    await this.#monitoring.start(await prometheusProgram(this.#monitoring.common("global"), place, configuration));
    return `http://${address}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#monitoring[Symbol.asyncDispose]();
    await this.stack.stop();
  }
}

async function asking<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function startAll(stack: Stack, monitoring: Monitoring) {
  const [prometheus, pushgateway, exporter, alertmanager] = await Promise.all(
    Array.from({ length: 4 }, () => monitoring.address()),
  );
  if (!prometheus || !pushgateway || !exporter || !alertmanager) throw new Error("no addresses");
  const admin = stack.databaseUrl("postgres");
  const sql = await readFile(role, "utf8");
  await asking(admin, async (client) => {
    await client.query("set ordermesh.password = 'exporter'");
    await client.query(sql);
  });
  const database = new URL(admin);
  database.username = "metrics";
  database.password = "exporter";
  database.searchParams.set("sslmode", "disable");
  const silent = stringify({ route: { receiver: "nobody" }, receivers: [{ name: "nobody" }] });
  const http = services.map((service) => [service, new URL(stack.httpUrl(service)).host] as const);
  const configuration = localConfiguration(
    { services: Object.fromEntries(http), postgresExporter: exporter, pushgateway, alertmanager, prometheus },
    1,
  );
  const common = (name: string) => monitoring.common(name);
  const place = (name: string, address: string) => ({ folder: join(monitoring.folder, name), address });
  await Promise.all([
    postgresExporterProgram(common("postgres_exporter"), exporter, database.href).then((one) => monitoring.start(one)),
    pushgatewayProgram(common("pushgateway"), pushgateway).then((one) => monitoring.start(one)),
    alertmanagerProgram(common("alertmanager"), place("alertmanager", alertmanager), silent).then((one) =>
      monitoring.start(one),
    ),
  ]);
  await monitoring.start(await prometheusProgram(common("prometheus"), place("prometheus", prometheus), configuration));
  return { prometheus, pushgateway };
}

const pen = { lines: [{ sku: "pen", quantity: 2 }], cardToken: "tok_approve" };

/** One order of every kind that the simulators know, several of the usual one. */
const wishes: readonly (Omit<Wish, "requestId"> & { readonly cancel?: boolean })[] = [
  ...Array.from({ length: 4 }, () => pen),
  // Two parcels, as no place has both.
  { ...pen, lines: [...pen.lines, { sku: "paper", quantity: 1 }] },
  { ...pen, cardToken: "tok_decline" },
  { ...pen, cardToken: "tok_timeout_after_success" },
  { ...pen, cardToken: "tok_error_500" },
  { ...pen, cardToken: "tok_capture_timeout_after_success" },
  { ...pen, lines: [{ sku: "pen", quantity: 9_000 }] },
  { ...pen, postalCode: "SIM-UNPACKABLE" },
  { ...pen, postalCode: "SIM-REFUSE" },
  { ...pen, postalCode: "SIM-LOST" },
  { ...pen, postalCode: "SIM-SLOW", cancel: true },
];

/** Places orders of every kind and waits until all are over. */
export async function trade(stack: Stack): Promise<void> {
  using shopper = new Shopper(stack);
  await shopper.stock("pen", "north", 500);
  await shopper.stock("paper", "south", 500);
  const customer = await shopper.customer("metrics");
  const orders = await Promise.all(
    wishes.map(async ({ cancel, ...wish }, index) => {
      const orderId = await shopper.place(customer, { ...wish, requestId: `order-${index}` });
      if (cancel) await shopper.cancel(orderId);
      return orderId;
    }),
  );
  for (const orderId of orders) await ended(shopper, orderId, { deadlineMs: 120_000, everyMs: 100 });
}

/** Waits until an order is over. */
export async function ended(shopper: Shopper, orderId: string, patience: UntilOptions): Promise<void> {
  await until(async () => isOver(await shopper.get(orderId)), `the end of order ${orderId}`, patience);
}

/** An operator, who orders something to see what becomes of it. */
export class OperatorClients implements Disposable {
  readonly #clients: Clients;
  readonly shopper: Shopper;
  readonly sagas: Client<typeof SagaService>;

  constructor(stack: Stack) {
    this.shopper = new Shopper(stack);
    this.#clients = plainClients(stack, 5_000);
    this.sagas = this.#clients.client(SagaService, stack.address("worker"));
  }

  /** Orders a pen and returns the order's id. */
  async order(cardToken: string, requestId = cardToken): Promise<string> {
    return this.shopper.place(await this.shopper.customer("operator"), { ...pen, cardToken, requestId });
  }

  /**
   * Orders what the gateway refuses to capture, and returns the order's id when its step is seen as parked; and something that has to be
   * waited for.
   */
  async park(world: World): Promise<string> {
    const orderId = await this.order("tok_capture_decline");
    await this.shopper.stock("ink", "north", 1);
    const customer = await this.shopper.customer("patient");
    const lines = [{ sku: "ink", quantity: 2 }];
    await this.shopper.place(customer, { requestId: "waits", cardToken: "tok_approve", lines, waits: true });
    const waits = async () => (await world.query("max(inventory_sku_back_orders)"))[0]?.value === 1;
    await until(waits, "the order that waits for stock", visible);
    const parked = async () => (await world.query("max(orders_parked)"))[0]?.value === 1;
    await until(parked, "the parked step", visible);
    return orderId;
  }

  [Symbol.dispose](): void {
    this.shopper[Symbol.dispose]();
    this.#clients.close();
  }
}
