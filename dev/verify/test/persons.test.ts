// A thousand persons order from a whole stack, some change their minds and say why, and all are forgotten: nobody can be read any more.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { PersonService } from "#gen/shop/identity/v1/person_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { ReturnLabelStatus, ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { Collector } from "#testing/collector.ts";
import { until } from "#testing/until.ts";
import { Ordermesh } from "../../../clients/typescript/src/ordermesh.ts";
import { databaseServices, services } from "../../../services/services.ts";
import { fillShelves } from "../../shop/catalogue.ts";
import { clientOptionsFor } from "../../shop/clients.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { patient } from "../../testing/processes.ts";
import { each } from "./contract-caller.ts";
import { forgetWorkflows, searchDatabase, searchWorkflows } from "./number-search.ts";
import { addressOf, filesWithPersons, keysOfPersons, mark, Persons, personOf } from "./persons.ts";
import { register } from "./proofs.ts";

const many = 1_000;
/** Every tenth changes its mind. */
const canceller = (n: number) => n % 10 === 0;
/** So many of them have a login besides. */
const logins = 20;
const callsAtOnce = 16;
/** A thousand orders, on a machine that is busy with others. */
const slow = { deadlineMs: 240_000 };
const ended = new Set([OrderStatus.DELIVERED, OrderStatus.CANCELLED]);

const newOrder = {
  lines: [{ sku: "espresso-cup", quantity: 1, unitPrice: { currency: "EUR", amount: 950n } }],
  cardToken: "tok_approve",
};

describe("a thousand persons", () => {
  const persons = new Persons();
  const customerIds: string[] = [];
  const orderIds: string[] = [];
  let collector: Collector;
  let stack: Stack;
  let shop: Ordermesh;

  before(async () => {
    collector = await new Collector().open();
    const all = {
      LOG_FORMAT: "json",
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: "100",
      RATE_LIMIT_SENSITIVE: "off",
    };
    // What is forgotten need not wait for the law.
    const orders = { PERSONAL_DATA_KEEP_DAYS: "0", PERSONAL_DATA_SWEEP_MS: "200" };
    const shipping = { SHIPMENT_ADDRESS_KEEP_DAYS: "0", PERSONAL_DATA_SWEEP_MS: "200" };
    const simulators = { PACKING_MS: "5000" };
    const ports = await freePorts();
    stack = await Stack.start({ ports, logLevel: "debug", environment: { all, orders, shipping, simulators } });
    shop = new Ordermesh(clientOptionsFor(stack));
    await fillShelves(shop.inventory);
  });
  after(async () => {
    shop?.[Symbol.dispose]();
    await stack?.stop();
    await collector?.close();
  });

  async function asAdmin(database: string, sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: stack.databaseUrl(database, "postgres") });
    await client.connect();
    await client.query(sql);
    await client.end();
  }

  /** In all columns of all tables of all services. */
  async function inTables(): Promise<string[]> {
    const urls = databaseServices.map((name) => stack.databaseUrl(name, "postgres"));
    const hits = await Promise.all(urls.map((url) => searchDatabase(url, persons)));
    return [...new Set(hits.flat().map(({ place }) => place))];
  }

  /** Has some of them register and log in, and forgets them. What was mailed is the mail server's to forget. */
  async function forgetLogins(): Promise<void> {
    const { headers } = stack;
    const people = createClient(PersonService, createGrpcTransport({ baseUrl: `http://${stack.address("identity")}` }));
    for (let n = 0; n < logins; n += 1) {
      const { personId } = await register(stack, personOf(n).email);
      const { person } = await people.exportPerson({ personId }, { headers });
      assert.equal(person?.email, personOf(n).email.toLowerCase());
      await people.erasePerson({ personId }, { headers });
    }
    rmSync(join(stack.blueprint.dataDirectory, "mail"), { recursive: true });
  }

  async function inHistories(): Promise<number> {
    return new Set((await searchWorkflows(stack.blueprint, persons)).map(({ digits }) => digits)).size;
  }

  /** In one call, and again those for which a busy machine had no time. */
  async function place(numbers: readonly number[]): Promise<void> {
    const requests = numbers.map((n) => ({
      ...newOrder,
      requestId: `person-${n}`,
      customerId: customerIds[n] ?? "",
      shippingAddress: addressOf(n),
    }));
    const placed = await until(
      async () => {
        const { outcomes } = await shop.orders.bulkCreateOrders({ requests });
        return outcomes.map(({ outcome }) => {
          if (outcome.case === "response") return outcome.value.order?.orderId ?? "";
          throw new Error(outcome.value?.message);
        });
      },
      "all orders",
      { ...slow, everyMs: 500 },
    );
    for (const [index, n] of numbers.entries()) orderIds[n] = placed[index] ?? "";
  }

  test("order, are read by who may, and are in no table in plain text", async () => {
    const numbers = Array.from({ length: many }, (_, n) => n);
    await each(numbers, callsAtOnce, async (n) => {
      const { customer } = await shop.customers.createCustomer(personOf(n));
      customerIds[n] = customer?.customerId ?? "";
    });
    const cancellers = numbers.filter(canceller);
    await place(numbers.filter((n) => !canceller(n)));
    // Alone and last: the parcels of a thousand are packed before all of them are placed.
    await place(cancellers);
    const reasonOf = (n: number) => `${mark}${n} has moved`;
    await each(cancellers, callsAtOnce, async (n) => {
      const request = { requestId: `cancel-${n}`, orderId: orderIds[n] ?? "", reason: reasonOf(n) };
      // A parcel that has left comes to its customer.
      await shop.orders.cancelOrder(request).catch(() => undefined);
    });
    let cancelled = 0;
    await each(numbers, callsAtOnce, async (n) => {
      const orderId = orderIds[n] ?? "";
      const hasEnded = async () => ended.has((await shop.orders.getOrder({ orderId })).order?.status ?? 0);
      await until(hasEnded, `the end of order ${n}`, { ...slow, everyMs: 500 });
      const { order } = await shop.orders.getOrder({ orderId });
      assert.equal(order?.contact?.givenName, `${mark}${n}`);
      if (order.failure?.customerMessage === `The order was cancelled: ${reasonOf(n)}`) cancelled += 1;
    });
    assert.ok(cancelled > many / 50, `${cancelled} were cancelled`);
    assert.deepEqual(await inTables(), []);
  });

  test("send something back, say why, and are sent a label, in no table in plain text", async () => {
    const transport = createGrpcTransport({ baseUrl: `http://${stack.address("orders")}` });
    const returns = createClient(OrderReturnService, transport);
    const { headers } = stack;
    const senders = orderIds.flatMap((orderId, n) => (n % 20 === 5 ? [{ orderId, n }] : []));
    await each(senders, callsAtOnce, async ({ orderId, n }) => {
      const key = (what: string) => `${what}-${n}`;
      const asked = { lines: [{ lineNumber: 1, quantity: 1 }], reason: ReturnReason.UNWANTED, despitePolicy: true };
      const request = { ...asked, requestId: key("return"), orderId, note: `${mark}${n} dislikes it` };
      const { orderReturn } = await returns.requestReturn(request, { headers });
      const { returnId = "", status } = orderReturn ?? {};
      assert.equal(status, ReturnStatus.APPROVED);
      const isMade = async () => {
        const { orderReturn: now } = await returns.getReturn({ orderId, returnId }, { headers });
        return now?.labelStatus === ReturnLabelStatus.MADE;
      };
      await until(isMade, `the label of return ${n}`, { ...slow, everyMs: 500 });
      await returns.cancelReturn({ requestId: key("withdraw"), orderId, returnId }, { headers });
    });
    assert.deepEqual(await inTables(), []);
  });

  test("are erased: nobody is readable in any file of the databases, of Temporal or of the logs, no table, no metric, no span", async () => {
    await forgetLogins();
    const urls = ["orders", "shipping", "identity"].map((name) => stack.databaseUrl(name, "postgres"));
    await each(customerIds, callsAtOnce, async (customerId) => {
      await shop.customers.eraseCustomer({ requestId: `erase-${customerId}`, customerId });
    });
    const noKeys = async () => {
      // The sweep looks at an order that was under way once an hour.
      await asAdmin(
        "orders",
        "update erasure set due_time = now() where customer_id in (select subject from personal_key)",
      );
      return (await Promise.all(urls.map(keysOfPersons))).every((count) => count === 0);
    };
    await until(noKeys, "all keys of persons are gone", { ...slow, everyMs: 1_000 });
    await asAdmin("orders", "checkpoint");
    assert.deepEqual(await filesWithPersons(stack.blueprint.dataDirectory), []);
    assert.deepEqual(await inTables(), []);
    const metrics = await Promise.all(
      services.map(async (name) => (await fetch(`${stack.httpUrl(name)}/metrics`)).text()),
    );
    assert.ok(metrics.every((text) => text.length > 100));
    const spans = collector.batches.map(({ body }) => body.toString("latin1"));
    assert.ok(spans.join("").split("CreateCustomer").length > many / 10, "spans were made");
    assert.deepEqual(
      [...metrics, ...spans].flatMap((text) => persons.in(text)),
      [],
    );
  });

  test("are in histories, for whoever has their keys, until Temporal forgets those with its retention", async () => {
    assert.ok((await inHistories()) >= many);
    await forgetWorkflows(stack.blueprint);
    await until(async () => (await inHistories()) === 0, "no history has anybody", { ...patient, everyMs: 1_000 });
  });

  test("would have been found in each of these places", async () => {
    const planted = personOf(many);
    for (const name of databaseServices) {
      await asAdmin(name, `create table planted as select '${planted.email}' as email, '${planted.phone}' as phone`);
    }
    const tables = databaseServices.map((name) => [`${name}.planted.email`, `${name}.planted.phone`]);
    assert.deepEqual((await inTables()).sort(), tables.flat().sort());
    await asAdmin("orders", "checkpoint");
    const files = await filesWithPersons(stack.blueprint.dataDirectory);
    assert.ok(files.filter((path) => path.startsWith("base/")).length >= databaseServices.length, files.join());
  });
});
