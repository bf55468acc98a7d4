// The connector dies at each line at which it waits for its database or for Stripe; another one goes on, and what was wanted is done once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { quietLogger } from "#testing/logger.ts";
import type { Rules } from "../../src/stripe/judgement.ts";
import { OperationRepository, type Statements } from "../../src/stripe/operation.repository.ts";
import type { Asked } from "../../src/stripe/operation.ts";
import { StripeGateway } from "../../src/stripe/stripe-gateway.ts";
import { StripeRequests } from "../../src/stripe/stripe-requests.ts";
import { authorization, change, openWorld, said, settingsOf, settle, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world?.[Symbol.asyncDispose]());

const leaseMs = 150;
const rules: Rules = { maxCaptures: 50, minAmounts: new Map([["EUR", 50n]]) };
const dead = new Error("the process is dead");

/** Dies at one of the lines: from then on it does nothing. */
class Life {
  readonly #diesAt: number;
  lines = 0;

  constructor(diesAt: number) {
    this.#diesAt = diesAt;
  }

  get over(): boolean {
    return this.lines > this.#diesAt;
  }

  line(): void {
    this.lines += 1;
    if (this.over) throw dead;
  }
}

/** An object whose calls are lines: before they are made, and after. */
function mortal<T extends object>(target: T, life: Life): T {
  return new Proxy(target, {
    get(_, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        life.line();
        const result: unknown = await value.apply(target, args);
        life.line();
        return result;
      };
    },
  });
}

function process(life: Life, settleMs = 0): StripeGateway {
  const config = settingsOf(world.test.url, world.fake.url);
  const requests = new StripeRequests({
    secretKey: config.STRIPE_SECRET_KEY,
    url: world.fake.url,
    timeoutMs: 500,
    pace: { all: 1e6, endpoint: 1e6 },
  });
  const statements: Statements = mortal({ query: world.test.database.query.bind(world.test.database) }, life);
  return new StripeGateway({
    operations: new OperationRepository(statements, leaseMs),
    requests: mortal(requests, life),
    rules,
    settleMs,
    patienceMs: 1_000,
    log: quietLogger(),
  });
}

const healthy = (settleMs = 0) => ({ gateway: process(new Life(Number.POSITIVE_INFINITY), settleMs) });

/** Does an operation with a process that dies later each time, until one lives; returns how many there were. */
async function dyingEverywhere(
  make: () => Promise<{ asked: Asked; check: () => void }>,
  outcome = "approved",
): Promise<number> {
  for (let diesAt = 0; ; diesAt += 1) {
    const { asked, check } = await make();
    const life = new Life(diesAt);
    const first = await process(life)
      .execute(asked)
      .catch((error: unknown) => {
        assert.equal(error, dead);
      });
    // Nothing rests on what Stripe remembers of keys.
    world.fake.forgetKeys();
    assert.equal(said(await settle(healthy(), asked, true)), outcome, `dies at line ${diesAt}`);
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

test("an authorization that cannot be used holds nothing", async () => {
  await dyingEverywhere(async () => {
    const asked = authorization({ cardToken: "pm_card_authenticationRequired" });
    const check = () => assert.equal(world.fake.intentOf(asked.key).status, "canceled");
    return { asked, check };
  }, "requires_action");
});

test("a capture takes its amount once", async () => {
  await dyingEverywhere(async () => {
    const { key, reference } = await held(200n);
    const check = () => {
      const { received, held: left } = world.fake.intentOf(key);
      assert.deepEqual([received, left], [500, 500]);
    };
    return { asked: change("capture", reference, 300n), check };
  });
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
