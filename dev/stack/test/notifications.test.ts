// What the customer of an order is told by a whole stack: the services ask each other who they are, and mails go by SMTP.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NotificationStatus } from "#gen/shop/notifications/v1/notification_pb.js";
import { NotificationService } from "#gen/shop/notifications/v1/notification_service_pb.js";
import { ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { until } from "#testing/until.ts";
import { Ordermesh } from "../../../clients/typescript/src/ordermesh.ts";
import { fillShelves } from "../../shop/catalogue.ts";
import { clientOptionsFor } from "../../shop/clients.ts";
import { freePorts } from "../free-ports.ts";
import { Stack } from "../stack.ts";

const patience = { deadlineMs: 60_000, everyMs: 200 };

describe("a stack whose customers are told", () => {
  let stack: Stack;
  before(async () => {
    stack = await Stack.start({ ports: await freePorts(), observers: ["nats", "mail"], logLevel: "warn" });
  });
  after(() => stack?.stop());

  async function subjects(orderId: string): Promise<string[]> {
    const mails = (await (await fetch(stack.observerUrl("mail"))).json()) as { subject: string }[];
    const own = mails.filter(({ subject }) => subject.includes(orderId));
    return own.map(({ subject }) => subject.replace(orderId, "…").replace(/\s/g, " "));
  }

  test("tells what becomes of orders, and where nothing does", { timeout: 240_000 }, async () => {
    using shop = new Ordermesh(clientOptionsFor(stack));
    await fillShelves(shop.inventory);
    const names = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com", phone: "+442079460000" };
    const { customer } = await shop.customers.createCustomer({ ...names, requestId: "told:ada" });
    const customerId = customer?.customerId ?? "";
    const place = async (requestId: string, cardToken: string) => {
      const { order } = await shop.orders.createOrder({
        requestId,
        customerId,
        lines: [{ sku: "espresso-cup", quantity: 1, unitPrice: { currency: "EUR", amount: 950n } }],
        shippingAddress: { recipient: "Ada", lines: ["1 Weg"], city: "Wien", country: "AT" },
        cardToken,
      });
      return order?.orderId ?? "";
    };
    const [delivered, declined] = [await place("told:1", "tok_approve"), await place("told:2", "tok_decline")];
    const told = [
      "Ihre Bestellung … ist bestätigt",
      "Ihre Bestellung … ist unterwegs",
      "Ihre Bestellung … ist angekommen",
    ];
    await until(async () => (await subjects(delivered)).length >= told.length, "it is told", patience);
    assert.deepEqual(await subjects(delivered), told);
    await until(async () => (await subjects(declined)).length > 0, "the other one, too", patience);
    assert.deepEqual(await subjects(declined), ["Ihre Bestellung … konnte nicht angenommen werden"]);
    const returns = shop.client(OrderReturnService, "orders");
    const line = { lineNumber: 1, quantity: 1 };
    const asked = { orderId: delivered, lines: [line], reason: ReturnReason.UNWANTED };
    const { orderReturn } = await returns.requestReturn(asked);
    const { returnId = "", status } = orderReturn ?? {};
    const approval = { orderId: delivered, returnId, trackingNumber: "RT-1" };
    if (status === ReturnStatus.REQUESTED) await returns.approveReturn(approval);
    const lines = [{ ...line, restocked: 1, locationId: "berlin" }];
    await returns.receiveReturn({ orderId: delivered, returnId, lines });
    const all = async () => (await subjects(delivered)).length === told.length + 2;
    await until(all, "what came back is told, and what is paid back", patience);
    assert.deepEqual(
      new Set((await subjects(delivered)).slice(told.length)),
      new Set([
        "Ihre Rücksendung zur Bestellung … ist angekommen",
        "Wir haben € 9,50 für Ihre Bestellung … zurückgezahlt",
      ]),
    );
    const notifications = shop.client(NotificationService, "notifications");
    const { notifications: sent } = await notifications.listNotifications({ customerId });
    assert.deepEqual(new Set(sent.map(({ status }) => status)), new Set([NotificationStatus.SENT]));
  });
});
