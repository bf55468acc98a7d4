import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import {
  OrderEpisodeService,
  type ReportShipmentRequest,
  ShipmentNews,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { readAuditLog } from "#testing/audit-log.ts";
import { quietLogger } from "#testing/logger.ts";
import { Life } from "#testing/mortal.ts";
import { CarrierClock } from "../../simulators/src/carrier/carrier-clock.ts";
import { CarrierCalls } from "../src/booking/carrier-call.ts";
import { OrderReportRepository } from "../src/report/order-report.repository.ts";
import { OrderReport } from "../src/report/order-report.ts";
import { TurnBackReportRepository } from "../src/report/turn-back-report.repository.ts";
import { CarrierRequestRepository, type NewCarrierRequest } from "../src/request/carrier-request.repository.ts";
import { CarrierRequests, type CarrierRequestsOptions } from "../src/request/carrier-requests.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { at, event } from "./examples.ts";
import { request, World } from "./world.ts";

const forever = new AbortController().signal;
const timeoutMs = 300;

function wanted(shipment: Shipment): NewCarrierRequest {
  return request(shipment, "turn-back");
}

describe("turning parcels back", () => {
  let world: World;
  let repository: CarrierRequestRepository;
  const heard: ReportShipmentRequest[] = [];
  before(async () => {
    world = await World.open();
    repository = new CarrierRequestRepository(world.test.database, 60_000);
  });
  after(() => world[Symbol.asyncDispose]());

  function open(changes: Partial<CarrierRequestsOptions> = {}, life = new Life(Number.POSITIVE_INFINITY)) {
    const calls = new CarrierCalls({ carrier: life.share(world.carrier), timeoutMs, note: undefined });
    const options = { repository: life.share(repository), calls, log: quietLogger(), timeoutMs };
    return new CarrierRequests({ ...options, ...changes });
  }

  const orders = createClient(
    OrderEpisodeService,
    createRouterTransport(({ service }) =>
      service(OrderEpisodeService, {
        batchReportShipments: ({ requests }) => {
          heard.push(...requests);
          return { outcomes: requests.map(() => ({ outcome: { case: "response", value: {} } })) };
        },
      }),
    ),
  );

  /** Tells orders what is to be told, and says what it has heard of a shipment. */
  async function told({ orderId }: Shipment): Promise<(string | undefined)[]> {
    const options = { orders, log: quietLogger(), timeoutMs: 10_000 };
    await new OrderReport({ ...options, repository: new OrderReportRepository(world.test.database) }).sweep(forever);
    await new OrderReport({ ...options, repository: new TurnBackReportRepository(repository) }).sweep(forever);
    return heard.filter((report) => report.orderId === orderId).map(({ news }) => ShipmentNews[news]);
  }

  /** Has everything that is due asked about. */
  async function ask(requests = open()): Promise<void> {
    await world.test.database.query("update carrier_request set due_time = now() where due_time is not null");
    await requests.sweep();
  }

  async function stateOf({ shipmentId }: Shipment): Promise<string | undefined> {
    const known = (await repository.find([shipmentId])).get(shipmentId);
    return known && [known.state, known.code].filter((text) => text !== "").join(" ");
  }

  const ship = (postalCode = "10115") => world.ship({ address: at(postalCode), reported: true, sagaId: "" });

  /** Lets the carrier report what time has brought about. */
  async function pass(ms: number): Promise<void> {
    world.now += ms;
    const report = (each: Parameters<World["tracking"]["record"]>[0][number]) => world.tracking.record([each]);
    await new CarrierClock({ store: world.outside.database, report, now: () => world.now }).sweep();
  }

  it("asks the carrier, tells orders what it says, and that the parcel is back", async () => {
    const shipment = await ship();
    assert.equal(await open().turnBack(wanted(shipment)), "asked");
    await ask();
    assert.equal(await stateOf(shipment), "agreed");
    await pass(2_000);
    assert.equal((await world.look(shipment.shipmentId)).status, "returned");
    assert.deepEqual((await told(shipment)).toSorted(), ["RETURNED", "TURNING_BACK"]);
    assert.deepEqual((await told(shipment)).length, 2, "once");
    const log = (await readAuditLog(world.test.database)).filter(({ subject }) => subject === shipment.shipmentId);
    assert.deepEqual(log.map(({ action }) => action).slice(-3), [
      "shipment.turn_back_requested",
      "shipment.turning_back",
      "shipment.returned",
    ]);
  });

  it("notes a wish once, however often and by whomever it is said", async () => {
    const shipment = await ship();
    const again = { ...wanted(shipment), requestId: `${shipment.orderId}:again` };
    const requests = [open(), open()];
    const said = [wanted(shipment), wanted(shipment), again].map((each, index) => requests[index % 2]?.turnBack(each));
    assert.deepEqual(await Promise.all(said), ["asked", "asked", "asked"]);
    await Promise.all(requests.map((each) => each.sweep()));
    assert.equal(await requests[0]?.turnBack(wanted(shipment)), "agreed");
    const log = (await readAuditLog(world.test.database)).filter(({ subject }) => subject === shipment.shipmentId);
    assert.equal(log.filter(({ action }) => action === "shipment.turn_back_requested").length, 1);
  });

  const cases: [postalCode: string, state: string, asked: number][] = [
    ["SIM-BACK-REFUSE", "refused NOT_POSSIBLE", 1],
    ["SIM-BACK-DELIVER", "agreed", 1],
    ["SIM-BACK-LOSE", "agreed", 1],
    ["SIM-BACK-TIMEOUT", "agreed", 2],
    ["SIM-BACK-SLOW", "agreed", 2],
  ];
  for (const [postalCode, state, times] of cases) {
    it(`takes what the carrier says for ${postalCode}, asked ${times === 1 ? "once" : "again under the same key"}`, async () => {
      const shipment = await ship(postalCode);
      await open().turnBack(wanted(shipment));
      for (let time = 1; time <= times; time += 1) {
        assert.equal(await stateOf(shipment), "asked");
        if (time > 1) world.now += 60_000;
        await ask();
      }
      assert.equal(await stateOf(shipment), state);
      await pass(8_000);
      const ends: Record<string, string> = {
        "SIM-BACK-REFUSE": "delivered",
        "SIM-BACK-DELIVER": "delivered",
        "SIM-BACK-LOSE": "lost",
      };
      assert.equal((await world.look(shipment.shipmentId)).status, ends[postalCode] ?? "returned");
    });
  }

  it("gives up a carrier that never answers: it counts as refused, and orders is told", async () => {
    const shipment = await ship("SIM-BACK-SILENT");
    await open().turnBack(wanted(shipment));
    await ask();
    assert.equal(await stateOf(shipment), "asked");
    await world.admin("update carrier_request set ask_time = now() - interval '2 minutes' where state = 'asked'");
    await ask();
    assert.equal(await stateOf(shipment), "refused NO_ANSWER");
    assert.deepEqual(await told(shipment), ["TURN_BACK_REFUSED"]);
  });

  it("does not ask about what has arrived, and refuses what has not left", async () => {
    const shipment = await ship();
    await world.tracking.record([{ trackingNumber: shipment.trackingNumber, event: event("delivered", 1) }]);
    await open().turnBack(wanted(shipment));
    await ask();
    assert.equal(await stateOf(shipment), "refused ENDED");
    const packed = await world.create();
    await assert.rejects(open().turnBack(wanted(packed)), /only one that the carrier has can be turned back/);
    const nothing = { ...wanted(packed), locationId: "HAM", requestId: "nothing" };
    await assert.rejects(open().turnBack(nothing), /there is no shipment/);
  });

  it("asks a carrier that cannot nothing", async () => {
    const shipment = await ship();
    const { book, find, cancel, track } = world.carrier;
    const poor = { book, find, cancel, track };
    const calls = new CarrierCalls({ carrier: poor, timeoutMs, note: undefined });
    await open().turnBack(wanted(shipment));
    await ask(open({ calls }));
    assert.equal(await stateOf(shipment), "refused NOT_SUPPORTED");
  });

  it("takes a parcel as returned, or as delivered, by what happened last", async () => {
    for (const [kinds, status] of [
      [["returned", "delivered"], "delivered"],
      [["delivered", "returned"], "returned"],
      [["lost", "returned"], "returned"],
    ] as const) {
      const shipment = await ship();
      const reports = kinds.map((kind, index) => ({
        trackingNumber: shipment.trackingNumber,
        event: event(kind, 1_000 + index),
      }));
      await world.tracking.record(reports.toReversed());
      assert.equal((await world.look(shipment.shipmentId)).status, status);
    }
  });

  for (const diesAt of [0, 1, 2, 3]) {
    it(`goes on after a process that died behind its line ${diesAt}`, async () => {
      const shipment = await ship();
      await open().turnBack(wanted(shipment));
      const life = new Life(diesAt);
      await life.through(ask(open({}, life)));
      await ask();
      assert.equal(await stateOf(shipment), "agreed");
      const log = (await readAuditLog(world.test.database)).filter(({ subject }) => subject === shipment.shipmentId);
      assert.equal(log.filter(({ action }) => action === "shipment.turning_back").length, 1);
    });
  }
});
