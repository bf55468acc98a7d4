// Whatever goes wrong with a cup, what was done is undone, the last first, and the guest is told; and a notice that fails harms nobody.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Client } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { InventoryErrorReason } from "#gen/shop/inventory/v1/inventory_error_reason_pb.js";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { PaymentErrorReason } from "#gen/shop/payments/v1/payment_error_reason_pb.js";
import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { toConnectError } from "#platform/errors.ts";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { InventoryError } from "../../../services/inventory/src/errors.ts";
import { PaymentError } from "../../../services/payments/src/payment/errors.ts";
import { timeSkippingEnvironment } from "../../../services/worker/test/stage/harness.ts";
import { BrokenMachine, type Machine } from "../src/activities.ts";
import type { CoffeeOrder, CoffeeState } from "../src/order.ts";
import { coffeeWorker, taskQueue } from "../src/worker.ts";
import { cancelOrder, type coffee, status } from "../src/workflow.ts";

/** What the world does to one order: by its name, in the order in which it is asked. */
class World {
  readonly asked: string[] = [];
  /** Called before something is done; what it throws is the answer. */
  hook: (what: string) => void | Promise<void> = () => undefined;

  async does(what: string): Promise<void> {
    this.asked.push(what);
    try {
      await this.hook(what);
    } catch (error) {
      throw toConnectError(error);
    }
  }
}

const worlds = new Map<string, World>();
const worldOf = (orderId: string) => worlds.get(orderId) as World;
const payment = { payment: { status: PaymentStatus.AUTHORIZED } };

const transport = createRouterTransport(({ service }) => {
  const pays =
    (what: string) =>
    async ({ paymentId }: { paymentId: string }) => {
      await worldOf(paymentId).does(what);
      return payment;
    };
  service(PaymentService, {
    authorizePayment: pays("authorize"),
    capturePayment: pays("capture"),
    voidPayment: pays("void"),
    refundPayment: pays("refund"),
  });
  const stocks =
    (what: string) =>
    async ({ orderId }: { orderId: string }) => {
      await worldOf(orderId).does(what);
      return {};
    };
  service(InventoryService, {
    reserveStock: stocks("reserve"),
    confirmReservation: stocks("confirm"),
    commitReservation: stocks("commit"),
    releaseReservation: stocks("release"),
  });
});

const machine: Machine = { work: ({ orderId }, step) => worldWork(orderId, step) };
/** The machine is no service: what it throws is thrown as it is. */
async function worldWork(orderId: string, step: string): Promise<void> {
  const world = worldOf(orderId);
  world.asked.push(step);
  await world.hook(step);
}

let environment: TestWorkflowEnvironment;
let client: Client;
let stop: () => Promise<void>;
before(async () => {
  environment = await timeSkippingEnvironment();
  const worker = await coffeeWorker(environment.nativeConnection, {
    payments: createClient(PaymentService, transport),
    inventory: createClient(InventoryService, transport),
    machine,
    notify: ({ orderId }, what) => worldOf(orderId).does(`tell: ${what.split(":")[0]}`),
  });
  const running = worker.run();
  client = new Client({ connection: environment.connection });
  stop = async () => {
    worker.shutdown();
    await running;
    await environment.teardown();
  };
});
after(() => stop());

async function order(world: World) {
  const orderId = newId();
  worlds.set(orderId, world);
  const given: CoffeeOrder = {
    orderId,
    customerId: newId(),
    name: "Ada",
    drink: "cappuccino",
    cardToken: "tok_approve",
  };
  return client.workflow.start<typeof coffee>("coffee", { taskQueue, workflowId: orderId, args: [given] });
}

const served = [
  "authorize",
  "capture",
  "reserve",
  "grind",
  "brew",
  "steam milk",
  "pour",
  "confirm",
  "commit",
  "tell: is ready",
];

/** All that is asked, and at which of it something happens. */
function failing(at: string, error: () => Error): World {
  const world = new World();
  world.hook = (what) => {
    if (what === at) throw error();
  };
  return world;
}

describe("an order of coffee", () => {
  it("is paid, prepared, deducted and told", async () => {
    const world = new World();
    const state: CoffeeState = await (await order(world)).result();
    assert.deepEqual([state.status, state.reason], ["COMPLETED", ""]);
    assert.deepEqual(world.asked, served);
  });

  for (const { at, error, asked, ended } of [
    {
      at: "authorize",
      error: () => new PaymentError(PaymentErrorReason.PAYMENT_DECLINED, "declined"),
      asked: ["authorize", "void", "refund", "tell: failed"],
      ended: ["FAILED", /declined/],
    },
    {
      at: "capture",
      error: () => new PaymentError(PaymentErrorReason.PAYMENT_DECLINED, "declined"),
      asked: ["authorize", "capture", "void", "refund", "tell: failed"],
      ended: ["FAILED", /declined/],
    },
    {
      at: "reserve",
      error: () => new InventoryError(InventoryErrorReason.OUT_OF_STOCK, "no milk"),
      asked: ["authorize", "capture", "reserve", "release", "void", "refund", "tell: failed"],
      ended: ["REFUNDED", /no milk/],
    },
    {
      at: "steam milk",
      error: () => new BrokenMachine("the machine leaks"),
      asked: [
        "authorize",
        "capture",
        "reserve",
        "grind",
        "brew",
        "steam milk",
        "release",
        "void",
        "refund",
        "tell: failed",
      ],
      ended: ["REFUNDED", /the machine leaks/],
    },
  ] as const) {
    it(`that fails at ${at} is undone, the last first`, async () => {
      const world = failing(at, error);
      const state = await (await order(world)).result();
      assert.deepEqual(world.asked, asked);
      assert.equal(state.status, ended[0]);
      assert.match(state.reason, ended[1]);
    });
  }

  it("is completed, and refunded, although nobody can be told", async () => {
    const done = failing("tell: is ready", () => new Error("no display"));
    assert.equal((await (await order(done)).result()).status, "COMPLETED");
    assert.equal(done.asked.filter((what) => what.startsWith("tell")).length, 3);
    const undone = new World();
    undone.hook = (what) => {
      if (what === "reserve") throw new InventoryError(InventoryErrorReason.OUT_OF_STOCK, "no milk");
      if (what.startsWith("tell")) throw new Error("no display");
    };
    assert.equal((await (await order(undone)).result()).status, "REFUNDED");
  });

  it("goes on with the step at which the machine stopped", async () => {
    const world = new World();
    let times = 0;
    world.hook = (what) => {
      if (what === "steam milk" && ++times === 1) throw new Error("the power was out");
    };
    assert.equal((await (await order(world)).result()).status, "COMPLETED");
    assert.deepEqual(world.asked.slice(3, -3), ["grind", "brew", "steam milk", "steam milk", "pour"]);
  });

  for (const at of ["authorize", "capture", "reserve", "grind", "brew", "steam milk", "pour"]) {
    it(`that is cancelled during ${at} leaves nothing behind`, async () => {
      const world = new World();
      const going = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<void>();
      world.hook = async (what) => {
        if (what !== at) return;
        reached.resolve();
        await going.promise;
      };
      const handle = await order(world);
      await reached.promise;
      await handle.signal(cancelOrder, "my train leaves");
      await until(async () => (await handle.query(status)).reason !== "", "the signal has come");
      going.resolve();
      const state = await handle.result();
      const undone = world.asked.slice(world.asked.indexOf(at) + 1).filter((what) => !served.includes(what));
      // Of what was not begun there is nothing to put back: that is known to whoever is asked.
      assert.deepEqual(undone, ["release", "void", "refund", "tell: failed"]);
      assert.match(state.reason, /^cancelled: my train leaves$/);
      assert.equal(state.status, "REFUNDED");
      assert.ok(!world.asked.includes("commit"));
    });
  }

  it("is not cancelled any more when it is ready", async () => {
    const world = new World();
    const handle = await order(world);
    world.hook = async (what) => {
      if (what === "confirm") await handle.signal(cancelOrder, "too late");
    };
    const state = await handle.result();
    assert.deepEqual([state.status, state.reason], ["COMPLETED", ""]);
  });
});
