import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { OrderEpisodeService, type ReportReturnLabelRequest } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { Life } from "#testing/mortal.ts";
import { CarrierCalls } from "../src/booking/carrier-call.ts";
import { LabelReport } from "../src/report/label-report.ts";
import { CarrierRequestRepository } from "../src/request/carrier-request.repository.ts";
import { CarrierRequests } from "../src/request/carrier-requests.ts";
import { at } from "./examples.ts";
import { request, World } from "./world.ts";

const timeoutMs = 300;

describe("labels of returns", () => {
  let world: World;
  let repository: CarrierRequestRepository;
  const heard: ReportReturnLabelRequest[] = [];
  let isAway = false;
  before(async () => {
    world = await World.open();
    repository = new CarrierRequestRepository(world.test.database, 60_000);
  });
  after(() => world[Symbol.asyncDispose]());

  function open(life = new Life(Number.POSITIVE_INFINITY)): CarrierRequests {
    const calls = new CarrierCalls({ carrier: life.share(world.carrier), timeoutMs, note: undefined });
    return new CarrierRequests({ repository: life.share(repository), calls, log: quietLogger(), timeoutMs });
  }

  const orders = createClient(
    OrderEpisodeService,
    createRouterTransport(({ service }) =>
      service(OrderEpisodeService, {
        batchReportReturnLabels: ({ requests }) => {
          if (isAway) throw new Error("away");
          heard.push(...requests);
          return { outcomes: requests.map(() => ({ outcome: { case: "response", value: {} } })) };
        },
      }),
    ),
  );

  /** Asks for a label of what was sent to an address. */
  async function wanted(postalCode = "10115") {
    const shipment = await world.ship({ address: at(postalCode) });
    const returnId = newId();
    const wish = { ...request(shipment, `label:${returnId}`), returnId };
    await open().label(wish);
    return { ...wish, returnId };
  }

  async function ask(requests = open()): Promise<void> {
    await world.test.database.query("update carrier_request set due_time = now() where due_time is not null");
    await requests.sweep();
  }

  async function tell(): Promise<void> {
    await world.test.database.query("update carrier_request set news_due_time = now() where not told");
    const report = new LabelReport({ repository, orders, log: quietLogger(), timeoutMs: 10_000 });
    await report.sweep(new AbortController().signal);
  }

  const about = (id: string) => heard.filter(({ returnId }) => returnId === id);

  for (const [postalCode, times] of [
    ["10115", 1],
    ["SIM-LABEL-TIMEOUT", 1],
  ] as const) {
    it(`are made by the carrier, and orders is told, once, for ${postalCode}`, async () => {
      const { returnId } = await wanted(postalCode);
      for (let time = 0; time < times; time += 1) await ask();
      for (let time = 0; time < 2; time += 1) await tell();
      const [label, ...others] = about(returnId);
      assert.deepEqual(others, []);
      assert.match(label?.trackingNumber ?? "", /^SIMR/);
      assert.equal(label?.label, `https://carrier.example/labels/${label?.trackingNumber}.pdf`);
      assert.equal(label?.reason, "");
    });
  }

  it("that are refused, or not answered in time, are told with why", async () => {
    const refused = await wanted("SIM-LABEL-REFUSE");
    await ask();
    await tell();
    assert.deepEqual(
      about(refused.returnId).map(({ trackingNumber, reason }) => [trackingNumber, reason]),
      [["", "ADDRESS_NOT_SERVED"]],
    );
    const slow = await wanted("SIM-LABEL-SLOW");
    await ask();
    await tell();
    assert.deepEqual(about(slow.returnId), []);
    await world.admin("update carrier_request set ask_time = now() - interval '2 minutes' where state = 'asked'");
    await ask();
    await tell();
    assert.deepEqual(
      about(slow.returnId).map(({ reason }) => reason),
      ["NO_ANSWER"],
    );
  });

  it("are told again when orders was away", async () => {
    const { returnId } = await wanted();
    await ask();
    isAway = true;
    await tell().catch(() => undefined);
    isAway = false;
    assert.deepEqual(about(returnId), []);
    await tell();
    assert.equal(about(returnId).length, 1);
  });

  for (const diesAt of [0, 1, 2, 3, 4]) {
    it(`are one each, also after a process that died behind its line ${diesAt}`, async () => {
      const { returnId } = await wanted();
      const life = new Life(diesAt);
      await life.through(ask(open(life)));
      await ask();
      await tell();
      assert.equal(about(returnId).length, 1);
      const made = await world.outside.database.query("select from carrier_label where key = $1", [returnId]);
      assert.equal(made.length, 1);
    });
  }
});
