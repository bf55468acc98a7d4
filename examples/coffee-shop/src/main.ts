// `npm run example -- coffee-shop`: guests who order and wait, and what the barista sees meanwhile.
import { Client, WorkflowIdReusePolicy } from "@temporalio/client";
import { DefaultLogger, NativeConnection, Runtime } from "@temporalio/worker";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { newId } from "#platform/id.ts";
import { plainClients } from "../../../dev/shop/clients.ts";
import { freePorts } from "../../../dev/stack/free-ports.ts";
import { Stack } from "../../../dev/stack/stack.ts";
import { WatchedMachine } from "./activities.ts";
import type { CoffeeOrder, CoffeeState, Drink } from "./order.ts";
import { coffeeWorker, taskQueue } from "./worker.ts";
import { cancelOrder, type coffee } from "./workflow.ts";

/** One guest: what he wants, what he pays with, and at which step of the barista he has to run for his train. */
interface Guest {
  readonly name: string;
  readonly drink: Drink;
  readonly cardToken?: string;
  readonly leavesAt?: string;
}

const guests: readonly Guest[] = [
  { name: "Ada", drink: "cappuccino" },
  { name: "Bob, whose card is declined", drink: "espresso", cardToken: "tok_decline" },
  { name: "Cleo, for whom there is no oat drink", drink: "oat latte" },
  { name: "Dan, who leaves", drink: "cappuccino", leavesAt: "brew" },
  { name: "Eve, whose notice fails", drink: "espresso" },
];
/** What happens to orders when the barista begins a step of them. */
const trains = new Map<string, (step: string) => void>();
const stepMs = 400;
const stock = { beans: 20n, milk: 20n, "oat-drink": 1n };

/** What the coffee shop runs on, in a folder that is gone afterwards. */
export const components = ["postgres", "temporal", "simulators", "payments", "inventory", "identity"] as const;

/** Serves everybody, and returns how each order ended. */
export async function serve(stack: Stack): Promise<Map<string, CoffeeState>> {
  const clients = plainClients(stack);
  const payments = clients.client(PaymentService, stack.address("payments"));
  const inventory = clients.client(InventoryService, stack.address("inventory"));
  for (const [sku, delta] of Object.entries(stock)) {
    await inventory.adjustStock({ requestId: newId(), sku, locationId: "counter", delta, reason: "opening" });
  }
  const barista = (order: CoffeeOrder, what: string) =>
    console.log(`  barista │ ${order.drink} for ${order.name}: ${what}`);
  const notify = async (order: CoffeeOrder, what: string) => {
    if (order.name.startsWith("Eve")) throw new Error("the display is broken");
    barista(order, what);
  };
  const connection = await NativeConnection.connect({ address: stack.address("temporal") });
  const machine = new WatchedMachine(stepMs, (order, step) => {
    barista(order, step);
    trains.get(order.orderId)?.(step);
  });
  const worker = await coffeeWorker(connection, { payments, inventory, machine, notify });
  try {
    const client = new Client({ connection });
    return await worker.runUntil(async () => {
      const served = await Promise.all(
        guests.map(async (guest) => [guest.name, await orderAndWait(client, guest)] as const),
      );
      return new Map(served);
    });
  } finally {
    await connection.close();
    clients.close();
  }
}

/** What a guest does: a workflow for each order, since somebody stands there and waits. */
async function orderAndWait(client: Client, { leavesAt, ...guest }: Guest): Promise<CoffeeState> {
  const order: CoffeeOrder = { cardToken: "tok_approve", ...guest, orderId: newId(), customerId: newId() };
  const handle = await client.workflow.start<typeof coffee>("coffee", {
    taskQueue,
    workflowId: order.orderId,
    workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
    args: [order],
  });
  trains.set(order.orderId, (step) => void (step === leavesAt && handle.signal(cancelOrder, "my train leaves")));
  const state = await handle.result();
  console.log(`${order.name}: ${state.status}${state.reason ? ` (${state.reason})` : ""} · ${state.steps.join(", ")}`);
  return state;
}

/** Opens the coffee shop, serves everybody, and closes. */
export async function run(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger("ERROR") });
  const say = (sentence: string) => console.error(sentence);
  await using stack = await Stack.start({ ports: await freePorts(), components, say });
  await serve(stack);
}
