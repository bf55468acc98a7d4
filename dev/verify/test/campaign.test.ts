import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import pg from "pg";
import { root } from "../../../deploy/command/checkout.ts";
import { takeBalance } from "../../../services/books/src/balance/balance.ts";
import { type AccountedService, accountedServices } from "../../../services/services.ts";
import { campaignSeed } from "../../config.ts";
import { costOf } from "../../shop/shopper.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { removeData } from "../../stack/postgres.ts";
import { openSimulatedWorld } from "../../stack/simulated-world.ts";
import { Stack } from "../../stack/stack.ts";
import { runCampaign, Watch } from "../campaign.ts";
import { parseCampaignOptions } from "../campaign-options.ts";
import { Chance } from "../chance.ts";
import type { Crowd } from "../crowd.ts";
import { drawFaults, type FaultKind, faultKinds, groundFor } from "../faults.ts";
import type { Havoc } from "../havoc.ts";
import { plantedBugs, requireApplicable } from "../planted.ts";
import { paidAt } from "../stripe-wanted.ts";
import { shortened, summary } from "../verdict.ts";
import { drawWanted, endsOf, pace } from "../wanted.ts";

const kinds = Object.keys(faultKinds) as FaultKind[];

describe("what a campaign is made of", () => {
  test("the same seed draws the same faults and the same orders", () => {
    const plan = { count: 40, overMs: 300_000, kinds, replicas: 2 };
    assert.deepEqual(drawFaults(new Chance(7), plan), drawFaults(new Chance(7), plan));
    assert.notDeepEqual(drawFaults(new Chance(7), plan), drawFaults(new Chance(8), plan));
    const demand = { name: "order", orders: 50, overMs: 60_000 };
    assert.deepEqual(drawWanted(new Chance(7), demand), drawWanted(new Chance(7), demand));
  });

  test("every fault ends in time, and no component suffers two at once", () => {
    const overMs = 120_000;
    const faults = drawFaults(new Chance(1), { count: 60, overMs, kinds, replicas: 2 });
    assert.ok(faults.length > 20, `${faults.length} faults`);
    for (const [index, { kind, victim, takes, atMs, forMs }] of faults.entries()) {
      assert.ok(atMs + forMs <= overMs && forMs <= 60_000, `${kind} of ${victim}`);
      const later = faults.slice(index + 1).filter((other) => other.takes.some((name) => takes.includes(name)));
      for (const other of later) assert.ok(other.atMs > atMs + forMs, victim);
    }
  });

  test("options that there are not are refused", () => {
    assert.throws(() => parseCampaignOptions(["--minutes", "soon"]), /--minutes is a number above 0, not "soon"/);
    assert.throws(() => parseCampaignOptions(["--kinds", "kill,flood"]), /There is no fault "flood"/);
    assert.throws(() => parseCampaignOptions(["--storm"]), /Try --help/);
    assert.throws(
      () => parseCampaignOptions(["--gateway", "cash"]),
      /There is no gateway "cash"; there are simulated, /,
    );
    assert.throws(() => parseCampaignOptions(["--away", "stripe"]), /There is no "stripe" to be away/);
    assert.deepEqual(parseCampaignOptions(["--gateway", "stripe", "--away", "stripe"]).away, ["stripe"]);
    assert.equal(parseCampaignOptions(["--orders", "7", "--seed", "0"]).orders, 7);
  });

  test("the connector to Stripe suffers as all others do, where there is one", () => {
    const plan = { count: 2_000, overMs: 200 * 3_600_000, kinds, replicas: 2 };
    const victims = drawFaults(new Chance(3), { ...plan, gateway: "stripe" }).map(
      ({ kind, victim }) => `${kind} ${victim}`,
    );
    const suffered = ["kill stripe", "freeze stripe-2", "outage stripe", "cut the way to stripe.world"];
    for (const each of suffered) assert.ok(victims.includes(each), each);
    assert.ok(drawFaults(new Chance(3), plan).every(({ victim }) => !victim.includes("stripe")));
  });

  test("who pays by Stripe is served as who pays by the simulated gateway, with cards, currencies and amounts that it takes", () => {
    const drawn = drawWanted(new Chance(5), { name: "order", orders: 2_000, overMs: 60_000, supplied: true });
    const paid = paidAt({ gateway: "stripe", overrides: {} }, drawn, new Chance(6));
    for (const [index, { wish, afterthought }] of paid.entries()) {
      const { lines, adjustments = [], currency, cardToken } = wish;
      assert.deepEqual(endsOf(wish), endsOf(drawn[index]?.wish ?? wish), cardToken);
      const added = adjustments.reduce((sum, { amount, included }) => sum + (included ? 0 : amount), 0);
      assert.ok(lines.reduce((sum, line) => sum + costOf(line), added) >= 50, wish.requestId);
      assert.ok(currency !== "BHD" && /^pm_\w+_card_/.test(cardToken), cardToken);
      if (afterthought && "cardToken" in afterthought) assert.match(afterthought.cardToken, /^pm_\w+_card_/);
    }
    const tokens = new Set(paid.map(({ wish }) => wish.cardToken));
    assert.equal(tokens.size, paid.length);
    assert.ok(new Set([...tokens].map((token) => token.replace(/^pm_\w+?_card_/, ""))).size > 20);
    assert.equal(paidAt({ gateway: "simulated", overrides: {} }, drawn, new Chance(6)), drawn);
  });

  test("who pays at an account that captures once has no card that only such an account takes", () => {
    const drawn = drawWanted(new Chance(5), { name: "order", orders: 500, overMs: 60_000 });
    const cardsAt = (multicapture: string) =>
      paidAt({ gateway: "stripe", overrides: { stripe: { STRIPE_MULTICAPTURE: multicapture } } }, drawn, new Chance(6))
        .map(({ wish }) => wish.cardToken)
        .filter((token) => token.endsWith("_card_oneCapture"));
    assert.ok(cardsAt("true").length > 0);
    assert.deepEqual(cardsAt("false"), []);
  });

  test("every planted bug says what it is and what catches it, and can be planted still", async () => {
    const bugs = plantedBugs();
    assert.ok(bugs.length >= 25, `${bugs.length} bugs`);
    for (const bug of bugs) {
      await requireApplicable(bug);
      const [test = "", ...options] = bug.caughtBy.split(" ");
      if (test === "campaign") assert.ok(parseCampaignOptions(options).orders > 0, bug.name);
      else assert.ok(existsSync(join(root, test)), `${bug.name} is caught by ${test}, which is not there`);
    }
  });
});

test("a watch that cannot compare the books any more says so at once, and why when it is stopped", {
  timeout: 30_000,
}, async (context) => {
  const fault = new TypeError("there is no such table");
  const stack = {
    databaseUrl: () => {
      throw fault;
    },
  } as unknown as Stack;
  const watch = new Watch(stack, {
    crowd: { placed: [] } as unknown as Crowd,
    havoc: { underWay: new Set() } as unknown as Havoc,
    say: () => undefined,
    compareEveryMs: 10,
  });
  context.after(() => watch.stop().catch(() => undefined));
  watch.start();
  await once(watch.failed, "abort", { signal: context.signal });
  await assert.rejects(watch.stop(), fault);
});

/** An event of each service that nothing else repeats. */
const events: Readonly<Record<AccountedService, string>> = {
  orders: "order.delivered",
  payments: "payment.captured",
  inventory: "stock.committed",
  shipping: "shipment.delivered",
};

/** The last look at the data spoils it: what the audit logs lack must be said. */
async function assertLossIsFound(stack: Stack): Promise<void> {
  const entries = accountedServices.map((service) => [service, stack.databaseUrl(service, "postgres")] as const);
  const urls = Object.fromEntries(entries) as Record<AccountedService, string>;
  for (const service of accountedServices) {
    const client = new pg.Client({ connectionString: urls[service] });
    await client.connect();
    const one = "select ctid from audit_event where action = $1 limit 1";
    await client.query(`delete from audit_event where ctid = (${one})`, [events[service]]);
    await client.end();
  }
  await using outside = await openSimulatedWorld(stack.databaseUrl("simulators", "postgres"));
  const { findings } = await takeBalance({ urls, gateway: outside.gateway, carrier: outside.carrier });
  // One event of inventory may be about several articles.
  const wrong = findings.flatMap((finding) => finding.wrong);
  const logs = wrong.map((sentence) => /the audit log of (\w+) does not say so$/.exec(sentence)?.[1] ?? sentence);
  assert.deepEqual([...new Set(logs)].toSorted(), [...accountedServices].toSorted());
}

/** What the services take for a fault, with its stack: a violation alone does not say where it comes from. */
class Faults {
  readonly #open = new Set<string>();
  readonly lines: string[] = [];

  /** Keeps a line at error, and those after it that belong to it. */
  take(component: string, line: string): void {
    const begin = /^[\d:.]+ (\w+) /.exec(line);
    if (begin?.[1] === "error") this.#open.add(component);
    else if (begin) this.#open.delete(component);
    if (this.#open.has(component) && this.lines.length < mostFaultLines) this.lines.push(`${component}: ${line}`);
  }
}
const mostFaultLines = 200;

async function survive(context: TestContext, seed: number, dataDirectory: string): Promise<void> {
  const { signal } = context;
  const ports = await freePorts();
  const faults = new Faults();
  const line = (component: string, text: string) => faults.take(component, text);
  await using stack = await Stack.start({ dataDirectory, ports, environment: pace, signal, line, ...groundFor(kinds) });
  // The kinds that differ most from each other, whatever else is drawn.
  const surely = ["kill", "clock", "silence"] as const;
  const plan = { seed, orders: 100, overMs: 45_000, faults: 12, kinds, surely };
  const said: string[] = [];
  const result = await runCampaign(stack, plan, { signal, say: (sentence) => said.push(sentence) });
  const suffered = [...result.faults].map(([kind, count]) => `${count} ${kind}`).join(", ");
  context.diagnostic(`faults: ${suffered}; ${result.workflows} workflows ended in the middle`);
  context.diagnostic(`outcomes: ${summary(result.states)}; ended ${result.endedAfterMs} ms after the last fault`);
  assert.deepEqual(shortened(result.violations), [], [...said, ...faults.lines].join("\n"));
  assert.ok(result.states.length > plan.orders / 2, `${result.states.length} orders came`);
  const parked = said.filter((sentence) => sentence.includes(" needs an operator for "));
  assert.equal(result.operators, 0, ["nobody's hand is needed", ...parked, ...said, ...faults.lines].join("\n"));
  assert.deepEqual(
    surely.filter((kind) => !result.faults.has(kind)),
    [],
  );
  await assertLossIsFound(stack);
}

test("a hundred orders come to their end by themselves, whatever happens around them", {
  timeout: 9 * 60_000,
}, async (context) => {
  const seed = campaignSeed ?? randomInt(2 ** 31);
  context.diagnostic(`ORDERMESH_CAMPAIGN_SEED=${seed}`);
  const dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-campaign-"));
  chmodSync(dataDirectory, 0o711);
  try {
    await survive(context, seed, dataDirectory);
  } catch (error) {
    context.diagnostic(`the data is kept for a look: npm start -- --no-demo --data ${dataDirectory}`);
    throw error;
  }
  removeData(dataDirectory);
});
