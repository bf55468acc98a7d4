// The connector dies at each line at which it waits for its database or for Stripe; another one goes on, and what was wanted is done once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Registry } from "prom-client";
import { quietLogger } from "#testing/logger.ts";
import { dead, Life } from "#testing/mortal.ts";
import { CustomerRepository } from "../../src/stripe/customer.repository.ts";
import { HappeningRepository } from "../../src/stripe/happening.repository.ts";
import { type Hint, hintOf } from "../../src/stripe/happening.ts";
import type { Rules } from "../../src/stripe/judgement.ts";
import { StripeMetrics } from "../../src/stripe/metrics.ts";
import { OperationRepository, type Statements } from "../../src/stripe/operation.repository.ts";
import type { Asked } from "../../src/stripe/operation.ts";
import { StripeCustomers } from "../../src/stripe/stripe-customers.ts";
import { StripeGateway } from "../../src/stripe/stripe-gateway.ts";
import { StripeListener } from "../../src/stripe/stripe-listener.ts";
import { StripeRequests } from "../../src/stripe/stripe-requests.ts";
import { NotNow } from "../../src/webhook.ts";
import { aCard, authorization, change, customersOf, openWorld, said, settingsOf, settle, type World } from "./world.ts";

let world: World;
/** What Stripe has told of the payments of one try. */
const told: Hint[] = [];
before(async () => {
  world = await openWorld();
  world.fake.tell = (payload) => {
    const hint = hintOf(JSON.parse(payload));
    if (hint) told.push(hint);
  };
});
after(() => world?.[Symbol.asyncDispose]());

const leaseMs = 150;
const rules: Rules = { maxCaptures: 50, minAmounts: new Map([["EUR", 50n]]) };

function partsOf(life: Life) {
  const config = settingsOf(world.test.url, world.fake.url);
  const metrics = new StripeMetrics(new Registry());
  const alive = new StripeRequests({
    secretKey: config.STRIPE_SECRET_KEY,
    url: world.fake.url,
    timeoutMs: 500,
    pace: { all: 1e6, endpoint: 1e6 },
    metrics,
  });
  const statements: Statements = life.share({ query: world.test.database.query.bind(world.test.database) });
  const requests = life.share(alive);
  const customers = new StripeCustomers({ customers: new CustomerRepository(statements), requests });
  const operations = new OperationRepository(statements, leaseMs, rules.maxCaptures);
  return { statements, operations, customers, requests, patienceMs: 1_000, metrics, log: quietLogger() };
}

function process(life: Life, settleMs = 0): StripeGateway {
  return new StripeGateway({ ...partsOf(life), rules, settleMs });
}

function listener(life: Life): StripeListener {
  const { statements, customers: _, ...parts } = partsOf(life);
  return new StripeListener({ ...parts, happenings: new HappeningRepository(statements) });
}

const healthy = (settleMs = 0) => ({ gateway: process(new Life(Number.POSITIVE_INFINITY), settleMs) });

/** Looks at all that Stripe has told: nothing of it was somebody else. */
async function hear(): Promise<void> {
  for (const hint of told) {
    await listener(new Life(Number.POSITIVE_INFINITY))
      .look(hint)
      .catch((error: unknown) => assert.ok(error instanceof NotNow));
  }
  const outside = "select kind from gateway_operation where outside union all select kind from gateway_event";
  assert.deepEqual(await world.test.database.query(outside), []);
}

/** Does an operation with a process that dies later each time, until one lives; returns how many there were. */
async function dyingEverywhere(
  make: () => Promise<{ asked: Asked; check: () => void }>,
  outcome = "approved",
): Promise<number> {
  for (let diesAt = 0; ; diesAt += 1) {
    told.length = 0;
    const { asked, check } = await make();
    const life = new Life(diesAt);
    const first = await process(life)
      .execute(asked)
      .catch((error: unknown) => {
        assert.equal(error, dead);
      });
    // Nothing rests on what Stripe remembers of keys.
    world.fake.forgetKeys();
    await hear();
    assert.equal(said(await settle(healthy(), asked, true)), outcome, `dies at line ${diesAt}`);
    await hear();
    check();
    if (!life.over) {
      assert.ok(first);
      return diesAt;
    }
  }
}

async function held(captured = 0n) {
  const asked = authorization();
  const outcome = await settle(healthy(), asked);
  assert.ok(outcome.state === "approved");
  if (captured > 0n) await settle(healthy(), change("capture", outcome.reference, captured));
  return { key: asked.key, reference: outcome.reference };
}

test("an authorization holds its amount once", async () => {
  const lives = await dyingEverywhere(async () => {
    const asked = authorization();
    const check = () => assert.equal(world.fake.intentOf(asked.key).held, 1_000);
    return { asked, check };
  });
  assert.ok(lives > 10, `${lives}`);
});

test("a payment method gets one customer, and pays for the next parcel as well", async () => {
  const lives = await dyingEverywhere(async () => {
    const asked = authorization({ cardToken: aCard() });
    const check = () => {
      const { held, customer } = world.fake.intentOf(asked.key);
      assert.deepEqual([held, customersOf(world.fake, asked.cardToken)], [1_000, [customer]]);
    };
    return { asked, check };
  });
  assert.ok(lives > 15, `${lives}`);
  await dyingEverywhere(async () => {
    const first = authorization({ cardToken: aCard() });
    assert.equal(said(await settle(healthy(), first)), "approved");
    const asked = authorization({ cardToken: first.cardToken });
    const check = () => {
      const [one, other] = [first, asked].map(({ key }) => world.fake.intentOf(key));
      assert.deepEqual([one?.held, other?.held], [1_000, 1_000]);
      assert.deepEqual(customersOf(world.fake, asked.cardToken), [other?.customer]);
    };
    return { asked, check };
  });
});

test("an authorization that cannot be used holds nothing", async () => {
  await dyingEverywhere(async () => {
    const asked = authorization({ cardToken: "pm_card_authenticationRequired" });
    const check = () => assert.equal(world.fake.intentOf(asked.key).status, "canceled");
    return { asked, check };
  }, "requires_action");
});

test("a capture takes its amount once", async () => {
  for (const amount of [300n, 800n]) {
    await dyingEverywhere(async () => {
      const { key, reference } = await held(200n);
      const check = () => {
        const { received, held: left } = world.fake.intentOf(key);
        assert.deepEqual([received, left], [200 + Number(amount), 800 - Number(amount)]);
      };
      return { asked: change("capture", reference, amount), check };
    });
  }
});

test("a void gives free what is left", async () => {
  for (const captured of [0n, 200n]) {
    await dyingEverywhere(async () => {
      const { key, reference } = await held(captured);
      const check = () => {
        const { received, held: left } = world.fake.intentOf(key);
        assert.deepEqual([received, left], [Number(captured), 0]);
      };
      return { asked: change("void", reference, 1_000n - captured), check };
    });
  }
});

test("a refund pays back its amount once", async () => {
  await dyingEverywhere(async () => {
    const { key, reference } = await held(500n);
    const check = () => assert.equal(world.fake.intentOf(key).refunded, 100);
    return { asked: change("refund", reference, 100n), check };
  });
});

async function failedRefund(reference: string) {
  const asked = change("refund", reference, 100n);
  await settle(healthy(), asked);
  const refund = [...world.fake.refunds.values()].find(({ metadata }) => metadata.key === asked.key);
  assert.ok(refund);
  refund.status = "failed";
  return { of: "refund", id: refund.id } as const;
}

function expiredHold(key: string, reference: string) {
  world.fake.expire(world.fake.intentOf(key));
  return { of: "intent", id: reference } as const;
}

test("what happened by itself is written down once", async () => {
  const happenings = new HappeningRepository(world.test.database);
  for (const kind of ["refund_failed", "hold_ended"]) {
    for (let diesAt = 0, over = true; over; diesAt += 1) {
      const { key, reference } = await held(300n);
      const hint = kind === "refund_failed" ? await failedRefund(reference) : expiredHold(key, reference);
      const life = new Life(diesAt);
      await listener(life)
        .look(hint)
        .catch((error: unknown) => assert.ok(error === dead || error instanceof NotNow));
      await listener(new Life(Number.POSITIVE_INFINITY)).look(hint);
      const listed = (await happenings.list(0n, 1_000)).filter(({ authorizationKey }) => authorizationKey === key);
      assert.deepEqual(
        listed.map((happening) => happening.kind),
        [kind],
        `dies at line ${diesAt}`,
      );
      over = life.over;
      const page = await healthy().gateway.list({ after: "", to: "", limit: 1_000 });
      assert.equal(page.find((row) => row.key === key)?.refunded ?? 0n, 0n);
    }
  }
});

test("what somebody did in the console is written down once", async () => {
  for (const kind of ["refund", "capture"] as const) {
    for (let diesAt = 0, over = true; over; diesAt += 1) {
      const { key } = await held(kind === "refund" ? 300n : 0n);
      const intent = world.fake.intentOf(key);
      told.length = 0;
      if (kind === "refund") world.fake.refundInConsole(intent, 100);
      else world.fake.captureInConsole(intent, 100);
      const [hint] = told;
      assert.ok(hint);
      const life = new Life(diesAt);
      await listener(life)
        .look(hint)
        .catch((error: unknown) => assert.ok(error === dead || error instanceof NotNow));
      await listener(new Life(Number.POSITIVE_INFINITY)).look(hint);
      const page = await healthy().gateway.list({ after: "", to: "", limit: 1_000 });
      const outside = page.filter((row) => row.outside && row.authorizationKey === key);
      assert.deepEqual(
        outside.map((row) => [row.kind, row.amount, row.state]),
        [[kind, 100n, "approved"]],
        `dies at line ${diesAt}`,
      );
      over = life.over;
    }
  }
});

test("a process that was frozen for longer than its lease changes nothing any more", async () => {
  const { key, reference } = await held();
  const capture = change("capture", reference, 300n);
  world.fake.fault("capture", "hangs");
  const frozen = process(new Life(Number.POSITIVE_INFINITY)).execute(capture);
  await new Promise((resolve) => setTimeout(resolve, 2 * leaseMs));
  const others = said(await settle(healthy(1_000), capture, true));
  assert.ok(["approved", "undetermined"].includes(said(await frozen)));
  assert.equal(others, "approved");
  assert.equal(world.fake.intentOf(key).received, 300);
});
