import { WebhookService } from "#gen/shop/webhooks/v1/webhook_service_pb.js";
import { Ordermesh } from "../../../clients/typescript/src/ordermesh.ts";
import { fillShelves } from "../../../dev/shop/catalogue.ts";
import { clientOptionsFor } from "../../../dev/shop/clients.ts";
import { freePorts } from "../../../dev/stack/free-ports.ts";
import { Stack } from "../../../dev/stack/stack.ts";
import { Receiver, type ToldEvent } from "./receiver.ts";

/** How long an order may take until its delivery is told of, in milliseconds. */
const deadlineMs = 120_000;

/** What comes of an order at an endpoint that subscribes to all that happens to orders; until it is delivered. */
export async function tellOfAnOrder(onEvent: (event: ToldEvent) => void): Promise<void> {
  const delivered = Promise.withResolvers<void>();
  await using receiver = await Receiver.listen((event) => {
    onEvent(event);
    if (event.type === "shop.orders.order.delivered.v1") delivered.resolve();
  });
  // On this machine an endpoint may be told without TLS, and here at this port.
  const environment = { webhooks: { WEBHOOK_PORTS: String(receiver.port) } };
  const say = (sentence: string) => console.error(sentence);
  await using stack = await Stack.start({ ports: await freePorts(), observers: ["nats"], environment, say });
  using shop = new Ordermesh(clientOptionsFor(stack));
  const webhooks = shop.client(WebhookService, "webhooks");
  const { endpoint, secret } = await webhooks.createEndpoint({
    name: "example",
    url: `http://127.0.0.1:${receiver.port}/hooks`,
    eventTypes: ["shop.orders.order.*"],
  });
  receiver.secret = secret;
  await webhooks.enableEndpoint({ endpointId: endpoint?.endpointId });
  await order(shop);
  const late = AbortSignal.timeout(deadlineMs);
  late.addEventListener("abort", () => delivered.reject(new Error("nobody told of the delivery within two minutes")));
  await delivered.promise;
}

async function order(shop: Ordermesh): Promise<void> {
  await fillShelves(shop.inventory);
  const names = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com" };
  const { customer } = await shop.customers.createCustomer(names);
  await shop.orders.createOrder({
    customerId: customer?.customerId,
    lines: [{ sku: "espresso-cup", quantity: 1, unitPrice: { currency: "EUR", amount: 950n } }],
    shippingAddress: { recipient: "Ada", lines: ["1 Analytical Way"], city: "London", country: "GB" },
    cardToken: "tok_approve",
  });
}

/** Prints what an endpoint is told of an order: `npm run example -- webhooks`. */
export async function run(): Promise<void> {
  await tellOfAnOrder(({ timestamp, type, data }) => console.log(timestamp, type, JSON.stringify(data)));
}
