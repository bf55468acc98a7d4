// A payment method that is attached to no customer of Stripe's can be used once. Parcels, amendments and later orders use it again.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import Stripe from "stripe";
import type { Asked } from "../../src/stripe/operation.ts";
import type { ComposedStripe } from "../../src/stripe/stripe.ts";
import type { Fault } from "./fake-stripe.ts";
import { aCard, authorization, change, customersOf, openWorld, said, settle, type World } from "./world.ts";

let world: World;
let once: ComposedStripe;
let stripe: Stripe;

before(async () => {
  world = await openWorld();
  once = world.process({ STRIPE_MULTICAPTURE: "false" });
  const { hostname, port } = new URL(world.fake.url);
  stripe = new Stripe("sk_test_of_a_fake", { host: hostname, port, protocol: "http", maxNetworkRetries: 0 });
});
after(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.fake.calm());

/** A payment that somebody makes at Stripe by himself. */
function paid(cardToken: string, given: Partial<Stripe.PaymentIntentCreateParams> = {}, key: string = randomUUID()) {
  const money = { amount: 1_000, currency: "eur", capture_method: "manual" } as const;
  return stripe.paymentIntents.create({ ...money, payment_method: cardToken, ...given }, { idempotencyKey: key });
}

async function confirmed(cardToken: string, given: Partial<Stripe.PaymentIntentCreateParams> = {}) {
  const { id } = await paid(cardToken, given);
  return await stripe.paymentIntents.confirm(id);
}

const usedAgain = {
  type: "StripeInvalidRequestError",
  code: undefined,
  message: /^The provided PaymentMethod was prev/,
};

test("a payment method of nobody can be used once at Stripe, be it declined, and never be attached after it", async () => {
  for (const name of ["visa", "chargeDeclined"]) {
    const card = aCard(name);
    const customer = (await stripe.customers.create()).id;
    const first = await paid(card);
    const second = await paid(card, { customer });
    await stripe.paymentIntents.confirm(first.id).catch((error) => assert.equal(error.code, "card_declined"));
    await assert.rejects(stripe.paymentIntents.confirm(second.id), usedAgain);
    await assert.rejects(paid(card), usedAgain);
    await assert.rejects(paid(card, { customer, setup_future_usage: "off_session" }), usedAgain);
    await assert.rejects(stripe.paymentMethods.attach(card, { customer }), { message: /^This PaymentMethod was prev/ });
    await assert.rejects(stripe.customers.create({ payment_method: card }), {
      message: /^This PaymentMethod was prev/,
    });
  }
});

test("a payment of a customer uses up what is not attached, unless it is to attach it", async () => {
  const { id: customer } = await stripe.customers.create();
  const [spent, kept] = [aCard(), aCard()];
  await confirmed(spent, { customer });
  await assert.rejects(paid(spent, { customer }), usedAgain);
  await confirmed(kept, { customer, setup_future_usage: "on_session" });
  await confirmed(kept, { customer });
  assert.equal((await stripe.paymentMethods.retrieve(kept)).customer, customer);
});

test("a payment method of a customer pays for nobody else, and for nobody once it was taken away", async () => {
  const card = aCard();
  const { id: customer } = await stripe.customers.create({ payment_method: card });
  const { id: other } = await stripe.customers.create();
  await confirmed(card, { customer });
  await confirmed(card, { customer });
  await assert.rejects(paid(card), { code: "parameter_missing", message: /belongs to the Customer cus_\d+\. Please/ });
  await assert.rejects(paid(card, { customer: other }), { message: /^The customer does not have a payment method/ });
  await assert.rejects(stripe.paymentMethods.attach(card, { customer: other }), { message: /already been attached/ });
  await stripe.paymentMethods.detach(card);
  await assert.rejects(paid(card, { customer }), usedAgain);
});

test("an order of three parcels is paid by an account that captures once", async () => {
  const cardToken = aCard();
  const parcels = [300n, 200n, 500n].map((amount) => authorization({ cardToken, amount }));
  const [first, ...others] = parcels;
  assert.ok(first);
  const outcomes = [await settle(once, first), ...(await Promise.all(others.map((asked) => settle(once, asked))))];
  for (const outcome of outcomes) {
    assert.ok(outcome.state === "approved", said(outcome));
    const { amount } = world.fake.intents.get(outcome.reference) ?? { amount: 0 };
    const capture = change("capture", outcome.reference, BigInt(amount), { final: true });
    assert.equal(said(await settle(once, capture)), "approved");
  }
  const payments = parcels.map(({ key }) => world.fake.intentOf(key));
  assert.deepEqual(
    payments.map(({ received }) => received),
    [300, 200, 500],
  );
  const [customer = "", ...more] = customersOf(world.fake, cardToken);
  assert.deepEqual(more, []);
  assert.deepEqual(
    payments.map((payment) => payment.customer),
    [customer, customer, customer],
  );
});

const faults: readonly Fault[] = ["before", "after", "fails", "failsAfter", "limited", "hangs", "garbled"];

for (const fault of faults) {
  test(`three parcels are held once each, whatever request goes wrong (${fault})`, async () => {
    const patient = world.process({ STRIPE_MULTICAPTURE: "false", STRIPE_SETTLE_MS: fault === "hangs" ? "600" : "0" });
    for (const forgets of [false, true]) {
      const cardToken = aCard();
      const parcels = [300n, 200n, 500n].map((amount) => authorization({ cardToken, amount }));
      for (const asked of parcels) {
        for (const endpoint of ["customer", "retrieve card", "create", "confirm"]) {
          // The client sends once more by itself where a connection breaks.
          world.fake.fault(endpoint, fault, fault);
        }
        await patient.gateway.execute(asked);
        if (forgets) world.fake.forgetKeys();
        assert.equal(said(await settle(patient, asked, true)), "approved");
        assert.equal(world.fake.intentOf(asked.key).held, Number(asked.amount));
        world.fake.calm();
      }
      assert.equal(customersOf(world.fake, cardToken).length, 1);
    }
  });
}

test("a customer whose answer was lost is found by its payment method, and not made again", async () => {
  const asked = authorization({ cardToken: aCard() });
  world.fake.fault("customer", "failsAfter");
  assert.equal(said(await once.gateway.execute(asked)), "not_executed");
  world.fake.forgetKeys();
  const seen = world.fake.count("retrieve card");
  assert.equal(said(await once.gateway.execute(asked)), "approved");
  assert.equal(world.fake.count("retrieve card") - seen, 1);
  assert.equal(customersOf(world.fake, asked.cardToken).length, 1);
});

test("replicas that take the same new payment method at the same moment have one customer", async () => {
  const cardToken = aCard();
  const processes = [once, world.process(), world.process()];
  const outcomes = await Promise.all(processes.map((process) => settle(process, authorization({ cardToken }))));
  assert.deepEqual(outcomes.map(said), ["approved", "approved", "approved"]);
  assert.equal(customersOf(world.fake, cardToken).length, 1);
});

test("a later order is paid with the same payment method, by an account of either kind", async () => {
  for (const process of [once, world.process()]) {
    const cardToken = aCard();
    for (const orderId of ["01JDZ3VXKT3Q4R5S6T7V8W9X0Y", "01JDZ3VXKT3Q4R5S6T7V8W9X0Z"]) {
      assert.equal(said(await settle(process, authorization({ cardToken, orderId }))), "approved");
    }
  }
});

test("a payment method that cannot be used again is declined by a code that says so, and holds nothing", async () => {
  const [used, taken, others] = [aCard(), aCard(), aCard()];
  await confirmed(used);
  await stripe.customers.create({ payment_method: taken });
  await stripe.paymentMethods.detach(taken);
  await stripe.customers.create({ payment_method: others });
  const cases: [cardToken: string, code: string][] = [
    [used, "payment_method_used"],
    [taken, "payment_method_used"],
    [others, "payment_method_of_other_customer"],
    ["tok_visa", "resource_missing"],
    [aCard("chargeDeclined"), "generic_decline"],
  ];
  for (const [cardToken, code] of cases) {
    const payments = world.fake.intents.size;
    for (let round = 0; round < 2; round += 1) {
      assert.equal(said(await settle(once, authorization({ cardToken }))), code, code);
    }
    assert.equal(world.fake.intents.size, payments, code);
  }
});

/** An authorization that a version without customers has begun, with what it made at Stripe. */
async function begunBefore(given: Partial<Asked> = {}) {
  const asked = authorization({ cardToken: aCard(), ...given });
  const { id } = await paid(asked.cardToken, { metadata: { key: asked.key } }, `${asked.key}:create`);
  return { asked, id };
}

test("what was begun before payment methods had customers goes on", async () => {
  // Its answer was lost: the key is of a payment without a customer.
  const { asked: lost } = await begunBefore();
  assert.equal(said(await settle(once, lost)), "approved");
  assert.equal(customersOf(world.fake, lost.cardToken).length, 1);
  // It was made, and not confirmed.
  const { asked: made, id } = await begunBefore();
  const { query } = world.test.database;
  const database = { query: query.bind(world.test.database) };
  await database.query(
    {
      name: "test_authorization",
      text: "insert into gateway_authorization (key, intent_id, currency, amount) values ($1, $2, $3, $4)",
    },
    [made.key, id, made.currency, made.amount],
  );
  const outcome = await settle(once, made);
  assert.deepEqual(outcome.state === "approved" && outcome.reference, id);
  assert.equal(said(await settle(once, change("capture", id, 1_000n))), "approved");
  // It has used its payment method up.
  assert.equal(said(await settle(once, authorization({ cardToken: made.cardToken }))), "payment_method_used");
});
