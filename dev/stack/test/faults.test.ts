// What a campaign does to a stack has to have its effect: a fault that does nothing shows nothing.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { until } from "#testing/until.ts";
import { patient } from "../../testing/processes.ts";
import { freePorts } from "../free-ports.ts";
import { replicaPorts } from "../layout.ts";
import { linkTo } from "../links.ts";
import { Stack } from "../stack.ts";

describe("a stack of two replicas, with a network and clocks of its own", () => {
  const clients = new Clients({ defaultTimeoutMs: 2_000, maxMessageBytes: 1024 * 1024 });
  let stack: Stack;

  before(async () => {
    const components = ["postgres", "inventory"] as const;
    stack = await Stack.start({ ports: await freePorts(), components, replicas: 2, network: true, clocks: true });
  });
  after(async () => {
    clients.close();
    await stack?.stop();
  });

  const client = () => clients.client(InventoryService, stack.address("inventory"));
  /** How a call that reads from the database ends: it is for an article that there is not. */
  const call = async (): Promise<Code | undefined> => {
    const failure = await client()
      .getStockLevel({ sku: "nothing" })
      .catch((error: unknown) => error);
    return failure instanceof ConnectError ? failure.code : undefined;
  };
  /** How far the clock of a replica is ahead, by what it says of the time when it answers; seconds. */
  const ahead = async (replica: "inventory" | "inventory-2"): Promise<number> => {
    const { http } = replicaPorts(replica, stack.blueprint.ports);
    const answer = await fetch(`http://127.0.0.1:${http}/healthz`);
    return Math.round((Date.parse(answer.headers.get("date") ?? "") - Date.now()) / 1_000);
  };

  test("is served by one replica while the other is away", async () => {
    assert.equal(await call(), Code.NotFound);
    for (const replica of stack.replicas("inventory")) {
      await stack.takeDown(replica);
      // A replica that was away before is found again within seconds.
      await until(async () => (await call()) === Code.NotFound, `calls are answered without ${replica}`, patient);
      for (let calls = 0; calls < 10; calls += 1) assert.equal(await call(), Code.NotFound, `${replica} is away`);
      await stack.restart(replica);
    }
  });

  test("has clocks that are moved while it runs, each alone, back and forth", async () => {
    for (const seconds of [3 * 3_600, -600, 0]) {
      stack.clocks.move("inventory-2", seconds);
      const isMoved = async () => Math.abs((await ahead("inventory-2")) - seconds) <= 2;
      await until(isMoved, `inventory-2 moved by ${seconds} s`, patient);
      assert.ok(Math.abs(await ahead("inventory")) <= 2);
    }
  });

  for (const [what, disturb] of Object.entries(disturbances())) {
    test(`cannot reach a database when the way to it is ${what}, and can again afterwards`, async () => {
      const links = stack.replicas("inventory").map((replica) => linkTo("postgres", replica));
      const ends = await Promise.all(links.map((link) => disturb(link)));
      const fails = async () => [Code.Unavailable, Code.DeadlineExceeded].includes((await call()) ?? Code.Unknown);
      await until(fails, "a call fails", patient);
      await Promise.all(ends.map((end) => end()));
      await until(async () => (await call()) === Code.NotFound, "calls are answered", patient);
    });
  }

  function disturbances(): Record<string, (link: string) => Promise<() => Promise<void>>> {
    const toxics = {
      silent: { type: "timeout", attributes: { timeout: 0 } },
      reset: { type: "reset_peer", attributes: { timeout: 0 } },
      slow: { type: "latency", attributes: { latency: 3_000, jitter: 0 } },
    } as const;
    const streams = ["upstream", "downstream"] as const;
    const disturbing = (name: keyof typeof toxics) => (link: string) =>
      stack.network.disturb(link, toxics[name], streams);
    return {
      silent: disturbing("silent"),
      reset: disturbing("reset"),
      slow: disturbing("slow"),
      parted: async (link) => {
        await stack.network.part(link);
        return () => stack.network.join(link);
      },
    };
  }
});
