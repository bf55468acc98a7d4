// Every effect is told or said to be internal, in the code and on the page.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { isTold } from "#platform/events/event-types.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { eventTables, withTypes } from "../events-page.ts";

/** What the first words of actions are, of each service. */
const nouns = {
  orders: "order|customer",
  payments: "payment|refund",
  inventory: "stock",
  shipping: "shipment",
  notifications: "preferences|notification|recipient",
  identity: "person|password|code|recovery_code|second_factor|login|session|api_key|signing_key",
  webhooks: "endpoint|secret|deliveries",
} as const;

/** What looks like an action and is none: fields of log lines, names of loops, columns and spans. */
const others: ReadonlySet<string> = new Set(
  `order.id order.personal customer.erasure customer.retention payment.id payment.status shipment.id
  shipment.await shipment.backlog shipment.book shipment.booking shipment.cancel shipment.create shipment.defer shipment.event
  shipment.forget shipment.look shipment.news shipment.packing shipment.personal shipment.read shipment.report shipment.return_label
  shipment.settle shipment.status shipment.track shipment.turn_back shipment.shipment_id person.personal person.sealed_email
  session.id notification.id notification.kind`.split(/\s+/),
);

/** The texts of a service's sources that may be actions, with what stands for a part that is only known later. */
function actionsIn(service: keyof typeof nouns): Set<string> {
  const form = new RegExp(`["\`]((?:${nouns[service]})\\.(?:[a-z_]|\\$\\{\\w+\\})+)["\`]`, "g");
  const files = globSync(`services/${service}/src/**/*.ts`, { cwd: root }).filter(
    (file) => !file.endsWith("-events.ts"),
  );
  const texts = files.flatMap((file) => [...readFileSync(join(root, file), "utf8").matchAll(form)]);
  return new Set(texts.map(([, text = ""]) => text).filter((text) => !others.has(text)));
}

describe("the events of each service", () => {
  for (const [service, types] of Object.entries(eventTables)) {
    it(`of ${service}: each action of its sources is in the table`, () => {
      const actions = actionsIn(service as keyof typeof nouns);
      assert.ok(actions.size > 0);
      const known = Object.keys(types);
      const missing = [...actions].filter((action) => {
        const form = new RegExp(`^${action.replaceAll(".", "\\.").replace(/\$\{\w+\}/g, "[a-z_]+")}$`);
        return !known.some((name) => form.test(name));
      });
      assert.deepEqual(missing, [], "add them to the table of events, or to what looks like an action and is none");
    });

    it(`of ${service}: whatever a row says, there is a message of it, and nothing personal`, () => {
      for (const [action, type] of Object.entries(types)) {
        if (!isTold(type)) continue;
        for (const details of [{}, hostile]) {
          const message = create(type.schema, type.say({ ...row, action, details }));
          assert.doesNotMatch(JSON.stringify(message, textOf), /SECRET/, action);
        }
      }
    });
  }

  it("are listed on the page", () => {
    const page = readFileSync(join(root, "docs/events.md"), "utf8");
    assert.equal(withTypes(page), page, "run dev/structure/test/write-events-page.ts");
  });
});

const row = {
  eventId: "01H3ZK5M8Q9R2T4V6W8X0Y2Z4A",
  time: new Date(0),
  orderId: "01H3ZK5M8Q9R2T4V6W8X0Y2Z4B",
  subject: "article@berlin",
  actor: "SECRET",
  requestId: "SECRET",
  traceId: "",
};
/** What no event may say, and numbers that are none. */
const hostile = {
  sealed_note: "SECRET",
  on_behalf_of: "SECRET",
  note: "SECRET",
  amount: "1e9",
  currency: "EUR",
  revision: "x",
};
const textOf = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
