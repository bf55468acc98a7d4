// What the customer of an order is told by a whole stack: the services ask each other who they are, and mails go by SMTP.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NotificationStatus } from "#gen/shop/notifications/v1/notification_pb.js";
import { NotificationService } from "#gen/shop/notifications/v1/notification_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
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
    const environment = { notifications: { NOTIFICATION_RETRY_MS: "500", NOTIFICATION_RETRY_MAX_MS: "2000" } };
    const ports = await freePorts();
    stack = await Stack.start({ ports, observers: ["nats", "mail"], logLevel: "warn", environment });
  });
  after(() => stack?.stop());

  async function subjects(orderId: string): Promise<string[]> {
    const mails = (await (await fetch(stack.observerUrl("mail"))).json()) as { subject: string }[];
    const own = mails.filter(({ subject }) => subject.includes(orderId));
    return own.map(({ subject }) => subject.replace(orderId, "…").replace(/\s/g, " "));
  }

  async function ada(shop: Ordermesh): Promise<string> {
    const names = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com", phone: "+442079460000" };
    const { customer } = await shop.customers.createCustomer({ ...names, requestId: "told:ada" });
    return customer?.customerId ?? "";
  }

  async function place(shop: Ordermesh, given: { requestId: string; customerId: string; cardToken: string }) {
    const { order } = await shop.orders.createOrder({
      ...given,
      lines: [{ sku: "espresso-cup", quantity: 1, unitPrice: { currency: "EUR", amount: 950n } }],
      shippingAddress: { recipient: "Ada", lines: ["1 Weg"], city: "Wien", country: "AT" },
    });
    return order?.orderId ?? "";
  }

  const told = [
    "Ihre Bestellung … ist bestätigt",
    "Ihre Bestellung … ist unterwegs",
    "Ihre Bestellung … ist angekommen",
  ];

  test("tells what becomes of orders, and where nothing does", { timeout: 240_000 }, async () => {
    using shop = new Ordermesh(clientOptionsFor(stack));
    await fillShelves(shop.inventory);
    const customerId = await ada(shop);
    const delivered = await place(shop, { requestId: "told:1", customerId, cardToken: "tok_approve" });
    const declined = await place(shop, { requestId: "told:2", customerId, cardToken: "tok_decline" });
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

  test("holds no order up while there is no mail server, and tells when there is one", {
    timeout: 240_000,
  }, async () => {
    using shop = new Ordermesh(clientOptionsFor(stack));
    await fillShelves(shop.inventory);
    const notifications = shop.client(NotificationService, "notifications");
    await stack.takeDown("mail");
    const orderId = await place(shop, { requestId: "told:3", customerId: await ada(shop), cardToken: "tok_approve" });
    const arrived = async () => (await shop.orders.getOrder({ orderId })).order?.status === OrderStatus.DELIVERED;
    await until(arrived, "it is delivered", patience);
    const waiting = async () => {
      const { notifications: list } = await notifications.listNotifications({ orderId });
      return list.length === told.length && list.every(({ status }) => status === NotificationStatus.PENDING);
    };
    await until(waiting, "all of it waits", patience);
    await stack.restart("mail");
    await until(async () => (await subjects(orderId)).length >= told.length, "it is told", {
      ...patience,
      deadlineMs: 120_000,
    });
    assert.deepEqual(await subjects(orderId), told);
  });
});
