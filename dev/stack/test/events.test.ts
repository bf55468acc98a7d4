// What subscribers are told by a whole stack whose processes are killed: every effect of every service, once, in the order of its changes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { encodeId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { Ordermesh } from "../../../clients/typescript/src/ordermesh.ts";
import { replay, type SeenEvent } from "../../../examples/events/src/replay.ts";
import { fillShelves } from "../../shop/catalogue.ts";
import { clientOptionsFor } from "../../shop/clients.ts";
import { tellers, toldActions } from "../../structure/events-page.ts";
import { freePorts } from "../free-ports.ts";
import { Stack } from "../stack.ts";

const patience = { deadlineMs: 120_000, everyMs: 500 };
const orderCount = 24;

interface Row {
  readonly event_id: string;
  readonly action: string;
  readonly about: string;
}

describe("a stack whose subscribers are told", () => {
  let stack: Stack;
  const databases = new Map<string, pg.Client>();
  before(async () => {
    stack = await Stack.start({ ports: await freePorts(), observers: ["nats"], logLevel: "error" });
    for (const name of tellers) {
      const database = new pg.Client({ connectionString: stack.databaseUrl(name, "postgres") });
      await database.connect();
      databases.set(name, database);
    }
  });
  after(async () => {
    for (const database of databases.values()) await database.end();
    await stack?.stop();
  });

  async function place(): Promise<void> {
    using shop = new Ordermesh(clientOptionsFor(stack));
    await fillShelves(shop.inventory);
    const names = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com", phone: "+442079460000" };
    const { customer } = await shop.customers.createCustomer({ ...names, requestId: "events:ada" });
    const unitPrice = { currency: "EUR", amount: 950n };
    const order = (index: number) =>
      shop.orders.createOrder({
        requestId: `events:${index}`,
        customerId: customer?.customerId ?? "",
        lines: [{ sku: "espresso-cup", quantity: 1, unitPrice }],
        shippingAddress: { recipient: "Ada", lines: ["1 Analytical Way"], city: "London", country: "GB" },
        cardToken: index % 6 === 0 ? "tok_decline" : "tok_approve",
      });
    for (let index = 0; index < orderCount; index += 1) {
      await until(() => order(index), "the order is accepted", patience);
      if (index === 8) stack.kill("orders");
      if (index === 12) stack.kill("inventory");
      if (index === 16) stack.kill("payments");
      if (index === 18) stack.kill("nats");
      if (index === 20) stack.kill("shipping");
    }
  }

  async function query<R extends pg.QueryResultRow>(service: string, text: string): Promise<R[]> {
    return (await databases.get(service)?.query<R>(text))?.rows ?? [];
  }

  async function isOver(): Promise<boolean> {
    const [row] = await query<{ open: number }>(
      "orders",
      "select count(*)::int as open from customer_order where status not in ('delivered', 'rejected')",
    );
    return row?.open === 0;
  }

  async function hasTold(service: string): Promise<boolean> {
    const text = "select count(*)::int as waiting from audit_event e, event_cursor c where e.sequence > c.sequence";
    return (await query<{ waiting: number }>(service, text))[0]?.waiting === 0;
  }

  test("every effect is told once, in the order of its changes, whoever is killed", { timeout: 240_000 }, async () => {
    await place();
    await until(isOver, "every order has ended", patience);
    for (const service of tellers) await until(() => hasTold(service), `${service} has told`, patience);
    const seen: SeenEvent[] = [];
    for await (const event of replay({ server: stack.observerUrl("nats"), since: new Date(0) })) seen.push(event);
    assert.equal(new Set(seen.map(({ id }) => id)).size, seen.length, "none is stored twice");
    for (const service of tellers) {
      const rows = await query<Row>(
        service,
        "select event_id, action, coalesce(nullif(subject, ''), order_id::text) as about from audit_event order by sequence",
      );
      const wanted = rows.filter(({ action }) => toldActions(service).has(action));
      const own = seen.filter(({ type }) => type.startsWith(`shop.${service}.`));
      const idsOf = (about: string) =>
        wanted.filter((row) => row.about === about).map(({ event_id }) => encodeId(event_id));
      for (const about of new Set(wanted.map((row) => row.about))) {
        const ids = new Set(idsOf(about));
        assert.deepEqual(
          own.filter(({ id }) => ids.has(id)).map(({ id }) => id),
          idsOf(about),
          `${service}: ${about}`,
        );
      }
      assert.equal(own.length, wanted.length, `${service} tells nothing else`);
      assert.ok(own.length > 0 || service === "identity");
    }
  });
});
