// The connector dies at each line at which it waits for its database or for EasyPost; another one goes on, and what was wanted is done once.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { quietLogger } from "#testing/logger.ts";
import { dead, Life } from "#testing/mortal.ts";
import { EasypostCarrier } from "../../src/easypost/easypost-carrier.ts";
import { EasypostRequests } from "../../src/easypost/easypost-requests.ts";
import { ParcelRepository, type Statements } from "../../src/easypost/parcel.repository.ts";
import { callOff, comingBack, configOf, newMetrics, openWorld, parcel, said, settle, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
beforeEach(() => world.fake.calm());
after(() => world?.[Symbol.asyncDispose]());

const leaseMs = 150;

function process(life: Life, settleMs = 0): EasypostCarrier {
  const config = configOf(world.test.url, world.fake.url);
  const statements: Statements = life.share({ query: world.test.database.query.bind(world.test.database) });
  const requests = new EasypostRequests({
    apiKey: config.EASYPOST_API_KEY,
    url: world.fake.url,
    timeoutMs: 500,
    pace: { all: 1e6, endpoint: 1e6 },
    metrics: newMetrics(),
  });
  return new EasypostCarrier({
    parcels: new ParcelRepository(statements, leaseMs),
    requests: life.share(requests),
    senders: config.EASYPOST_SENDERS,
    services: config.EASYPOST_SERVICES,
    settleMs,
    persistMs: 60_000,
    voidLookMs: 0,
    patienceMs: 1_000,
    log: quietLogger(),
  });
}

const healthy = (settleMs = 0) => ({ carrier: process(new Life(Number.POSITIVE_INFINITY), settleMs) });

/** Has a process do something that dies later each time, until one lives; returns at how many lines it could die. */
async function dyingEverywhere(
  act: (carrier: EasypostCarrier, diesAt: number) => Promise<unknown>,
  check: (diesAt: number) => Promise<void>,
): Promise<number> {
  for (let diesAt = 0; ; diesAt += 1) {
    const life = new Life(diesAt);
    await act(process(life), diesAt).catch((error: unknown) => assert.equal(error, dead));
    await check(diesAt);
    if (!life.over) return diesAt;
  }
}

for (const [what, make] of [
  ["a parcel", parcel],
  ["a label of a return", comingBack],
] as const) {
  test(`${what} has one label`, async () => {
    let order = make();
    const lives = await dyingEverywhere(
      (carrier) => {
        order = make();
        return carrier.book(order);
      },
      async (diesAt) => {
        const outcome = await settle(healthy(), order, true);
        assert.ok(outcome.state === "booked", `dies at line ${diesAt}: ${said(outcome)}`);
        assert.equal(outcome.trackingNumber, world.fake.labelOf(order.key).trackingCode);
      },
    );
    assert.ok(lives > 12, `${lives}`);
  });
}

test("a parcel that is called off while it is booked has no label, or one that is taken back", async () => {
  world.fake.refundStatus = "refunded";
  let order = parcel();
  await dyingEverywhere(
    (carrier) => {
      order = parcel();
      return carrier.book(order);
    },
    async (diesAt) => {
      const outcome = said(await callOff(healthy(), order.key));
      assert.ok(outcome === "cancelled" || outcome === "unknown", `dies at line ${diesAt}: ${outcome}`);
      const labels = world.fake.labelsOf(order.key);
      assert.ok(
        labels.every(({ refundStatus }) => refundStatus === "refunded"),
        `dies at line ${diesAt}`,
      );
    },
  );
});

test("a label is taken back once", async () => {
  world.fake.refundStatus = "refunded";
  let order = parcel();
  const lives = await dyingEverywhere(
    async (carrier) => {
      order = parcel();
      await settle(healthy(), order);
      return await carrier.cancel(order.key);
    },
    async (diesAt) => {
      assert.equal(said(await callOff(healthy(), order.key)), "cancelled", `dies at line ${diesAt}`);
      assert.equal(world.fake.labelOf(order.key).refunds, 1);
    },
  );
  assert.ok(lives > 8, `${lives}`);
});

test("a process that was frozen for longer than its lease writes nothing any more, and its label is found", async () => {
  const order = parcel();
  world.fake.fault("buy", "hangs");
  const frozen = process(new Life(Number.POSITIVE_INFINITY)).book(order);
  await new Promise((resolve) => setTimeout(resolve, 2 * leaseMs));
  const outcome = await settle(healthy(1_000), order, true);
  assert.ok(["booked", "undecided"].includes(said(await frozen)));
  assert.equal(said(outcome), "booked");
  world.fake.labelOf(order.key);
});
