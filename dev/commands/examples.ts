import { relative } from "node:path";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { replay } from "../../examples/events/src/replay.ts";
import { traceUrl } from "../observers/jaeger.ts";
import { JaegerQuery, untilSeen } from "../observers/jaeger-query.ts";
import type { Demonstration } from "../shop/demo.ts";
import { authorizationFile } from "../stack/credentials.ts";
import type { Stack } from "../stack/stack.ts";
import type { Screen } from "../terminal/screen.ts";
import { cacheDirectory } from "../tools/config.ts";
import { findTool } from "../tools/tool.ts";

/** Prints calls that can be pasted as they are, and where to look at the workflow. */
export async function printExamples(stack: Stack, screen: Screen, { order, customerId }: Demonstration): Promise<void> {
  const grpcurl = `${await commandOf("grpcurl")} -plaintext`;
  const me = '-H "$ME"';
  const json = `${me} -H 'content-type: application/json'`;
  const { orderId } = order;
  const show = (line: string) => screen.print(`  ${line}`);
  const [orders, payments] = [stack.address("orders"), stack.address("payments")];
  const file = relative(process.cwd(), authorizationFile(stack.blueprint.dataDirectory));
  screen.print();
  screen.title("Try it by gRPC, as somebody with every role");
  show(`ME=$(cat ${file})`);
  show(`${grpcurl} ${orders} list`);
  show(`${grpcurl} ${orders} describe shop.orders.v1.OrderService`);
  show(`${grpcurl} ${me} -d '{"orderId":"${orderId}"}' ${orders} shop.orders.v1.OrderService/GetOrder`);
  show(`${grpcurl} ${me} -d '${newOrder(customerId)}' ${orders} shop.orders.v1.OrderService/CreateOrder`);
  show(`${grpcurl} ${me} -d '{"orderId":"${orderId}"}' ${payments} shop.payments.v1.PaymentService/ListPayments`);
  screen.title("or by HTTP and JSON");
  show(`curl -s ${json} -d '{"orderId":"${orderId}"}' ${stack.httpUrl("orders")}/shop.orders.v1.OrderService/GetOrder`);
  const stock = `${stack.httpUrl("inventory")}/shop.inventory.v1.InventoryService/GetStockLevel`;
  show(`curl -s ${json} -d '{"sku":"espresso-cup"}' ${stock}`);
  show(`curl -s ${stack.httpUrl("orders")}/metrics`);
  screen.title("The workflow behind it");
  screen.print(`  ${stack.temporalUiUrl}/namespaces/default/workflows/${order.sagaId}`);
  await printTrace(stack, screen, orderId);
  await printEvents(stack, screen, order);
  await printMails(stack, screen, order);
  if (!(await findTool("grpcurl"))) screen.say("grpcurl is not installed: `npm run tools -- grpcurl` builds it.");
}

/** How long the last spans of an order may be on their way. */
const traceDeadlineMs = 15_000;

async function printTrace(stack: Stack, screen: Screen, orderId: string): Promise<void> {
  if (!stack.blueprint.observers.includes("jaeger")) {
    if (!(await findTool("jaeger"))) {
      screen.say(
        "Its trace would be here if there were a Jaeger: `npm run tools -- jaeger` builds one, some minutes with Go.",
      );
    }
    return;
  }
  screen.title("Its trace");
  const jaeger = new JaegerQuery(stack.observerUrl("jaeger"));
  const find = () => jaeger.orderTrace(orderId);
  const trace = await untilSeen(find, ({ spans }) => spans.length > 1, traceDeadlineMs).catch(() => undefined);
  if (trace) screen.print(`  ${await traceUrl(jaeger.url, trace.traceID)}`);
  else screen.say("Jaeger has not got it.");
}

/** What subscribers were told of the order: a few lines, since the catalogue has many more. */
async function printEvents(
  stack: Stack,
  screen: Screen,
  { orderId, createTime }: Demonstration["order"],
): Promise<void> {
  if (!stack.blueprint.observers.includes("nats")) {
    if (!(await findTool("nats-server"))) {
      screen.say(
        "Its events would be here if there were a NATS: `npm run tools -- nats-server` builds it, a minute with Go.",
      );
    }
    return;
  }
  screen.title("What subscribers are told of it");
  const server = stack.observerUrl("nats");
  const demonstrated = createTime ? timestampDate(createTime) : new Date();
  const told: string[] = [];
  try {
    for await (const { type, subject } of replay({ server, since: demonstrated, filter: "ordermesh.orders.>" })) {
      if (subject === orderId) told.push(type.replace(/^shop\.orders\.|\.v1$/g, ""));
    }
  } catch (error) {
    screen.say(`NATS does not say: ${(error as Error).message}`);
  }
  screen.print(`  ${told.join(", ")}`);
  screen.print(`  npm run example -- events ${server}`);
}

/** How long the mails may be on their way that are sent of an order in two parcels: it is confirmed, they leave, they arrive. */
const mailDeadlineMs = 10_000;
const wantedMails = 5;

/** What the customer was told by then, by the mails that came. */
async function printMails(stack: Stack, screen: Screen, { orderId }: Demonstration["order"]): Promise<void> {
  if (!stack.blueprint.observers.includes("mail")) return;
  screen.title("What its customer is told by mail");
  const find = async () => {
    const answer = await fetch(stack.observerUrl("mail"), { signal: AbortSignal.timeout(mailDeadlineMs) });
    return ((await answer.json()) as { subject: string }[]).filter(({ subject }) => subject.includes(orderId));
  };
  const isTold = (mails: readonly unknown[]) => mails.length >= wantedMails;
  const mails = await untilSeen(find, isTold, mailDeadlineMs).catch(find);
  for (const { subject } of mails) screen.print(`  ${subject}`);
  screen.print(`  all of them: curl -s ${stack.observerUrl("mail")}`);
}

function newOrder(customerId: string): string {
  return JSON.stringify({
    requestId: "paste-1",
    customerId,
    lines: [{ sku: "espresso-cup", quantity: 2, unitPrice: { currency: "EUR", amount: "950" } }],
    shippingAddress: { recipient: "Ada Lovelace", lines: ["1 Analytical Way"], city: "London", country: "GB" },
    cardToken: "tok_approve",
    waitFor: "WAIT_FOR_CONFIRMED",
  });
}

/** By name when it is on PATH, else by its place in the cache. */
async function commandOf(name: "grpcurl"): Promise<string> {
  const path = await findTool(name);
  return path?.startsWith(cacheDirectory) ? path : name;
}
