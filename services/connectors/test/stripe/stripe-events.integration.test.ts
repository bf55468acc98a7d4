// What happens at Stripe by itself: told by webhooks late, twice, in any order or never, and listed for payments once.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import Stripe from "stripe";
import { GatewayOperationKind } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { launch } from "#platform/process/runtime.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { until } from "#testing/until.ts";
import type { ListedHappening } from "../../src/stripe/happening.repository.ts";
import { HappeningRepository } from "../../src/stripe/happening.repository.ts";
import { OperationRepository } from "../../src/stripe/operation.repository.ts";
import { type ComposedStripe, stripe } from "../../src/stripe/stripe.ts";
import { NotNow } from "../../src/webhook.ts";
import { authorization, change, clientOf, openWorld, said, settle, type World } from "./world.ts";

const goesOn = new AbortController().signal;
let world: World;
let connector: ComposedStripe;
let happenings: HappeningRepository;

before(async () => {
  world = await openWorld();
  connector = world.process();
  happenings = new HappeningRepository(world.test.database);
});
after(() => world?.[Symbol.asyncDispose]());

async function captured(amount = 1_000n) {
  const asked = authorization();
  const outcome = await settle(connector, asked);
  assert.ok(outcome.state === "approved");
  const { reference } = outcome;
  if (amount > 0n) await settle(connector, change("capture", reference, amount));
  return { key: asked.key, reference, intent: world.fake.intentOf(asked.key) };
}

async function refunded(reference: string, amount: bigint) {
  const asked = change("refund", reference, amount);
  assert.equal(said(await settle(connector, asked)), "approved");
  const refund = [...world.fake.refunds.values()].find(({ metadata }) => metadata.key === asked.key);
  assert.ok(refund);
  return { asked, refund };
}

/** What is listed of an authorization. */
async function listed(key: string): Promise<ListedHappening[]> {
  return (await happenings.list(0n, 1_000)).filter(({ authorizationKey }) => authorizationKey === key);
}

test("a refund that fails later is declined from then on, and its amount can be refunded again", async () => {
  const { key, reference } = await captured();
  const { asked, refund } = await refunded(reference, 400n);
  const hint = { of: "refund", id: refund.id } as const;
  await connector.listener.look(hint);
  assert.deepEqual(await listed(key), []);
  refund.status = "failed";
  refund.failure_reason = "expired_or_canceled_card";
  await Promise.all([connector.listener.look(hint), world.process().listener.look(hint)]);
  await connector.listener.look(hint);
  const [event, ...more] = await listed(key);
  assert.deepEqual(
    [event?.kind, event?.key, event?.code, more],
    ["refund_failed", asked.key, "expired_or_canceled_card", []],
  );
  assert.equal(said(await connector.gateway.execute(asked)), "expired_or_canceled_card");
  const { operations } = await clientOf(connector).listOperations({});
  const authorized = operations.find((operation) => operation.key === key);
  assert.deepEqual([authorized?.amounts?.captured, authorized?.amounts?.refunded], [1_000n, 0n]);
  world.fake.intentOf(key).refunded = 0;
  await refunded(reference, 1_000n);
});

test("a refund that fails before it is written down that it was approved is told again, not forgotten", async () => {
  const { key, reference } = await captured();
  const asked = change("refund", reference, 400n);
  const [paying, listening] = [world.process(), world.process({ STRIPE_ANSWER_WITHIN_MS: "50" })];
  const hint = async () => {
    const refund = [...world.fake.refunds.values()].find(({ metadata }) => metadata.key === asked.key);
    assert.ok(refund);
    refund.status = "failed";
    return { of: "refund", id: refund.id } as const;
  };
  const { requests } = paying;
  const refund = requests.refund.bind(requests);
  requests.refund = async (...given) => {
    const answer = await refund(...given);
    await assert.rejects(listening.listener.look(await hint()), NotNow);
    return answer;
  };
  assert.equal(said(await paying.gateway.execute(asked)), "approved");
  await listening.listener.look(await hint());
  assert.deepEqual(
    (await listed(key)).map(({ kind }) => kind),
    ["refund_failed"],
  );
});

test("what is another account's is none of ours", async () => {
  await connector.listener.look({ of: "refund", id: "re_of_another" });
  await connector.listener.look({ of: "dispute", id: "dp_of_another" });
});

test("a hold has ended when something was held, and nothing of ours has ended it", async () => {
  const [voided, done, gone, half] = [await captured(0n), await captured(), await captured(0n), await captured(300n)];
  await settle(connector, change("void", voided.reference, 1_000n));
  for (const { intent } of [gone, half]) world.fake.expire(intent);
  for (const { reference } of [voided, done, gone, half]) {
    for (let twice = 0; twice < 2; twice += 1) await connector.listener.look({ of: "intent", id: reference });
  }
  const kinds = await Promise.all(
    [voided, done, gone, half].map(async ({ key }) => (await listed(key)).map(({ kind }) => kind)),
  );
  assert.deepEqual(kinds, [[], [], ["hold_ended"], ["hold_ended"]]);
  await connector.listener.look({ of: "intent", id: "pi_of_somebody_else" });
});

test("while an operation of the authorization may be under way, it is looked at later", async () => {
  const { key, reference } = await captured(0n);
  const slow = world.process({ STRIPE_SETTLE_MS: "60000", STRIPE_ANSWER_WITHIN_MS: "50" });
  world.fake.fault("capture", "after", "after");
  await slow.gateway.execute(change("capture", reference, 1_000n));
  await assert.rejects(slow.listener.look({ of: "intent", id: reference }), NotNow);
  assert.deepEqual(await listed(key), []);
});

/** What is listed of an authorization as done by somebody else: kind, amount, what Stripe calls it, what came of it. */
async function outside(key: string): Promise<unknown[]> {
  const { operations } = await clientOf(connector).listOperations({});
  return operations.flatMap(({ authorizationKey, kind, amount, outside: done, outcome }) =>
    done && authorizationKey === key
      ? [[GatewayOperationKind[kind], amount?.amount, done.reference, outcome?.result.case, Boolean(done.time)]]
      : [],
  );
}

test("a refund that somebody made in the console is listed once, and what it leaves no room for is refused for good", async () => {
  const { key, reference, intent } = await captured();
  const ours = await refunded(reference, 100n);
  const refund = world.fake.refundInConsole(intent, 700);
  const hints = [refund.id, refund.id, ours.refund.id].map((id) => ({ of: "refund", id }) as const);
  await Promise.all(hints.map((hint) => connector.listener.look(hint)));
  await world.process().listener.look({ of: "refund", id: refund.id });
  const listedOnce = [["REFUND", 700n, refund.id, "approved", true]];
  assert.deepEqual(await outside(key), listedOnce);
  const { operations } = await clientOf(connector).listOperations({});
  const { amounts } = operations.find((operation) => operation.key === key) ?? {};
  assert.deepEqual([amounts?.captured, amounts?.refunded], [1_000n, 100n], "what we did is told without it");
  for (const [amount, code] of [
    [300n, "invalid_request"],
    [200n, "approved"],
    [100n, "charge_already_refunded"],
  ] as const) {
    const asked = change("refund", reference, amount);
    assert.equal(said(await settle(connector, asked)), code);
    assert.equal(said(await connector.gateway.execute(asked)), code, "for good");
  }
  assert.deepEqual(await outside(key), listedOnce);
  assert.deepEqual(await listed(key), []);
});

test("a second refund for a key of ours is none that we asked for", async () => {
  const { key, reference, intent } = await captured();
  const { asked, refund: ours } = await refunded(reference, 100n);
  const second = world.fake.refundInConsole(intent, 300, asked.key);
  for (const { id } of [ours, second]) await connector.listener.look({ of: "refund", id });
  assert.deepEqual(await outside(key), [["REFUND", 300n, second.id, "approved", true]]);
  second.status = "failed";
  await connector.listener.look({ of: "refund", id: second.id });
  assert.deepEqual(await outside(key), [["REFUND", 300n, second.id, "declined", true]]);
  assert.equal(said(await connector.gateway.execute(asked)), "approved");
  assert.deepEqual(await listed(key), []);
});

test("a refund of ours is nobody else's, whatever is known of it when Stripe tells", async () => {
  const { key, reference } = await captured();
  const slow = world.process({ STRIPE_SETTLE_MS: "60000", STRIPE_ANSWER_WITHIN_MS: "50" });
  world.fake.fault("refund", "after", "after");
  const lost = change("refund", reference, 300n);
  await slow.gateway.execute(lost);
  const asked = change("refund", reference, 200n);
  const look = async () => {
    const ours = [...world.fake.refunds.values()].filter(({ payment_intent: intent }) => intent === reference);
    assert.equal(ours.length, 2);
    for (const { id } of ours) await connector.listener.look({ of: "refund", id });
  };
  const { requests } = slow;
  const refund = requests.refund.bind(requests);
  requests.refund = async (...given) => {
    const answer = await refund(...given);
    await look();
    return answer;
  };
  assert.equal(said(await slow.gateway.execute(asked)), "approved");
  assert.equal(said(await settle(connector, lost)), "approved");
  await look();
  assert.deepEqual([await outside(key), await listed(key)], [[], []]);
});

test("who saw a refund of the console's succeed does not write so once it has failed", async () => {
  const { key, intent } = await captured();
  const { id } = world.fake.refundInConsole(intent, 400);
  const slow = world.process();
  const retrieve = slow.requests.retrieveRefund.bind(slow.requests);
  let seen = 0;
  slow.requests.retrieveRefund = async (given) => {
    const answer = await retrieve(given);
    seen += 1;
    if (seen === 1) {
      Object.assign(world.fake.refunds.get(id) ?? {}, { status: "failed" });
      await connector.listener.look({ of: "refund", id });
    }
    return answer;
  };
  await slow.listener.look({ of: "refund", id });
  assert.deepEqual(await outside(key), [["REFUND", 400n, id, "declined", true]]);
});

test("a refund of the console's is listed once it has succeeded, and as declined once it has failed", async () => {
  const { key, intent } = await captured();
  const refund = world.fake.refundInConsole(intent, 400);
  const look = async (status: string) => {
    refund.status = status;
    await connector.listener.look({ of: "refund", id: refund.id });
    return await outside(key);
  };
  assert.deepEqual(await look("pending"), []);
  assert.deepEqual(await look("succeeded"), [["REFUND", 400n, refund.id, "approved", true]]);
  assert.deepEqual(await look("failed"), [["REFUND", 400n, refund.id, "declined", true]]);
  assert.deepEqual(await listed(key), [], "payments did not ask for it, and is told nothing");
  const { operations } = await clientOf(connector).listOperations({});
  assert.equal(operations.find((operation) => operation.key === key)?.amounts?.refunded, 0n);
});

test("what somebody did in the console is found by looking, and captures of ours are refused for good", async () => {
  const [{ key, reference, intent }, paid] = [await captured(0n), await captured()];
  world.fake.captureInConsole(intent, 600);
  const refund = world.fake.refundInConsole(paid.intent, 200);
  await connector.listener.sweep(goesOn);
  await connector.listener.sweep(goesOn);
  assert.deepEqual(await outside(paid.key), [["REFUND", 200n, refund.id, "approved", true]]);
  assert.deepEqual(await outside(key), [["CAPTURE", 600n, reference, "approved", true]]);
  assert.equal(said(await settle(connector, change("capture", reference, 500n))), "hold_ended");
  assert.equal(said(await settle(connector, change("refund", reference, 100n))), "amount_exceeds_capture");
  assert.deepEqual(await outside(key), [["CAPTURE", 600n, reference, "approved", true]]);
});

test("what somebody captured is listed while a capture of ours is not sent yet", async () => {
  const { key, reference, intent } = await captured(0n);
  const asked = change("capture", reference, 500n);
  await new OperationRepository(world.test.database, 1_000, 50).begin(asked);
  world.fake.captureInConsole(intent, 600);
  await connector.listener.sweep(goesOn);
  assert.equal(said(await settle(connector, asked)), "hold_ended");
  assert.deepEqual(await outside(key), [["CAPTURE", 600n, reference, "approved", true]]);
});

test("what the console gives back of a capture of which nobody can say what became of it is listed", async () => {
  const { key, reference, intent } = await captured(0n);
  const asked = change("capture", reference, 500n);
  world.fake.fault("capture", "after", "after");
  await connector.gateway.execute(asked);
  world.fake.captureInConsole(intent, 300);
  assert.equal(said(await connector.gateway.find(asked)), "undetermined");
  const refund = world.fake.refundInConsole(intent, 300);
  await connector.listener.sweep(goesOn);
  assert.deepEqual(await outside(key), [["REFUND", 300n, refund.id, "approved", true]]);
});

test("a capture of ours is nobody else's, whatever is known of it when Stripe tells", async () => {
  const hint = (intent: { id: string; received: number }) =>
    ({ of: "capture", id: intent.id, received: BigInt(intent.received) }) as const;
  const done = await captured();
  await connector.listener.look(hint(done.intent));
  const lost = await captured(0n);
  const slow = world.process({ STRIPE_SETTLE_MS: "60000", STRIPE_ANSWER_WITHIN_MS: "50" });
  world.fake.fault("capture", "after", "after");
  const asked = change("capture", lost.reference, 1_000n);
  await slow.gateway.execute(asked);
  await connector.listener.look(hint(lost.intent));
  const late = await captured(0n);
  world.fake.fault("capture", "hangs");
  const second = change("capture", late.reference, 1_000n);
  await connector.gateway.execute(second);
  await until(async () => (await connector.gateway.find(second)).state === "not_executed", "it is taken for not done");
  await until(async () => late.intent.received === 1_000, "its effect shows late");
  await connector.listener.look(hint(late.intent));
  for (const { key } of [done, lost, late]) assert.deepEqual(await outside(key), []);
  assert.equal(said(await settle(connector, asked)), "approved");
  assert.equal(said(await settle(connector, second)), "approved");
});

test("a dispute is told of as it stands, each time that it stands otherwise", async () => {
  const { key, reference } = await captured();
  const dispute = (status: string) => ({
    id: "dp_1",
    object: "dispute",
    status,
    reason: "fraudulent",
    amount: 700,
    currency: "eur",
    payment_intent: reference,
    evidence_details: { due_by: 1_900_000_000 },
  });
  for (const status of ["needs_response", "needs_response", "under_review", "lost"]) {
    world.fake.disputes.set("dp_1", dispute(status));
    await connector.listener.look({ of: "dispute", id: "dp_1" });
  }
  const { events } = await clientOf(connector).listEvents({ after: "" });
  const ours = events.filter(({ authorizationKey }) => authorizationKey === key);
  assert.deepEqual(
    ours.map(({ event }) => (event.case === "disputed" ? [event.value.state, event.value.amount?.amount] : [])),
    [1, 1, 3].map((state) => [state, 700n]),
  );
  assert.deepEqual(
    ours.map(({ event }) => (event.case === "disputed" ? Number(event.value.respondByTime?.seconds ?? 0n) : undefined)),
    [1_900_000_000, 0, 0],
    "what is answered has not to be answered",
  );
  const after = events.at(-1)?.position ?? "";
  assert.deepEqual((await clientOf(connector).listEvents({ after })).events, []);
  await assert.rejects(clientOf(connector).listEvents({ after: "elsewhere" }), /is no position of ours/);
});

test("a dispute is told of again when it has to be answered at another time, and when it stands as it did before", async () => {
  const { key, reference } = await captured();
  const look = async (status: string, due: number | null) => {
    world.fake.disputes.set("dp_2", {
      ...{ id: "dp_2", object: "dispute", status, reason: "fraudulent", amount: 700, currency: "eur" },
      payment_intent: reference,
      evidence_details: { due_by: due },
    });
    await connector.listener.look({ of: "dispute", id: "dp_2" });
  };
  const [first, later] = [1_900_000_000, 1_900_600_000];
  for (const due of [first, first, later]) await look("needs_response", due);
  await look("under_review", null);
  await look("needs_response", later);
  const told = await listed(key);
  assert.deepEqual(
    told.map(({ respondByTime }) => respondByTime && respondByTime.getTime() / 1_000),
    [first, later, undefined, later],
  );
  assert.equal(new Set(told.map(({ eventId }) => eventId)).size, 4);
  const times = told.map(({ time }) => time.getTime());
  assert.deepEqual(
    times,
    times.toSorted((one, other) => one - other),
  );
});

test("who saw a dispute before another one does not tell of it behind that", async () => {
  const { key, reference } = await captured();
  const dispute = (due_by: number) => ({
    ...{ id: "dp_3", object: "dispute", status: "needs_response", reason: "fraudulent", amount: 700, currency: "eur" },
    payment_intent: reference,
    evidence_details: { due_by },
  });
  const [slow, quick] = [world.process({ STRIPE_TIMEOUT_MS: "400" }), world.process()];
  const { requests } = slow;
  const retrieve = requests.retrieveDispute.bind(requests);
  let seen = 0;
  requests.retrieveDispute = async (id) => {
    const answer = await retrieve(id);
    seen += 1;
    if (seen === 2) {
      world.fake.disputes.set("dp_3", dispute(1_900_600_000));
      // It is frozen for longer than it may work alone.
      await until(
        () =>
          quick.listener.look({ of: "dispute", id }).then(
            () => true,
            () => false,
          ),
        "the other one",
      );
    }
    return answer;
  };
  world.fake.disputes.set("dp_3", dispute(1_900_000_000));
  await assert.rejects(slow.listener.look({ of: "dispute", id: "dp_3" }), NotNow);
  assert.deepEqual(
    (await listed(key)).map(({ respondByTime }) => respondByTime && respondByTime.getTime() / 1_000),
    [1_900_600_000],
  );
});

test("what no webhook told of is found by looking, page by page", async () => {
  const { key, reference } = await captured();
  const { refund } = await refunded(reference, 100n);
  refund.status = "failed";
  const other = await captured(0n);
  world.fake.expire(other.intent);
  world.fake.happen("refund.failed", refund);
  for (let page = 0; page < 3; page += 1) world.fake.happen("refund.updated", refund);
  world.fake.happen("charge.expired", { id: "ch_1", payment_intent: other.reference });
  world.fake.fault("list events", "limited");
  await assert.rejects(connector.listener.sweep(goesOn), NotNow);
  await connector.listener.sweep(goesOn);
  assert.deepEqual(
    (await listed(key)).map(({ kind }) => kind),
    ["refund_failed"],
  );
  assert.deepEqual(
    (await listed(other.key)).map(({ kind }) => kind),
    ["hold_ended"],
  );
});

test("what cannot be seen yet keeps nothing behind it from being looked at, and is looked at again", async () => {
  const hourMs = 3_600_000;
  const now = Date.now();
  const hoursAgo = (hours: number) => Math.floor((now - hours * hourMs) / 1_000);
  const stuck = await captured(0n);
  const slow = world.process({ STRIPE_SETTLE_MS: "60000", STRIPE_ANSWER_WITHIN_MS: "50" });
  world.fake.fault("capture", "after", "after");
  await slow.gateway.execute(change("capture", stuck.reference, 1_000n));
  const { key, reference } = await captured();
  const { refund } = await refunded(reference, 100n);
  refund.status = "failed";
  world.fake.happen("payment_intent.canceled", { id: stuck.reference }, hoursAgo(49.5));
  world.fake.happen("refund.failed", refund, hoursAgo(47.5));
  const longAgo = new Date(now - 50 * hourMs);
  await world.test.database.query("update gateway_event_source set look_time = $1", [longAgo]);
  await assert.rejects(slow.listener.sweep(goesOn), NotNow);
  assert.deepEqual(
    (await listed(key)).map(({ kind }) => kind),
    ["refund_failed"],
  );
  assert.deepEqual((await happenings.lookTime()).lookTime, longAgo);
  await settle(connector, change("capture", stuck.reference, 1_000n), false);
  await assert.rejects(connector.listener.sweep(AbortSignal.abort(new Error("it ends"))), /it ends/);
  await connector.listener.sweep(goesOn);
  assert.ok((await happenings.lookTime()).lookTime.getTime() >= now);
});

test("a replica whose clock is hours ahead keeps nobody from looking at what happens until then", async (context) => {
  const { key, reference, intent } = await captured(300n);
  context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 6 * 3_600_000 });
  await connector.listener.sweep(goesOn);
  context.mock.timers.reset();
  world.fake.expire(intent);
  world.fake.happen("payment_intent.canceled", { id: reference });
  await connector.listener.sweep(goesOn);
  assert.deepEqual(
    (await listed(key)).map(({ kind }) => kind),
    ["hold_ended"],
  );
});

const [first, second, stranger] = ["whsec_first_secret", "whsec_second_secret", "whsec_of_somebody"];

test("webhooks are taken with a signature of one of the secrets, not long ago, and told again when they cannot be looked at", async () => {
  const env = {
    DATABASE_URL: world.test.url,
    PAGE_TOKEN_SECRET: pageTokenSecret.text,
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STRIPE_SECRET_KEY: "sk_test_of_a_fake",
    STRIPE_API_URL: world.fake.url,
    STRIPE_WEBHOOK_SECRETS: `${first}, ${second}`,
  };
  const begunSeconds = Date.now() / 1_000;
  const service = await launch(stripe, env, new PassThrough().resume());
  const { webhooks } = new Stripe("sk_test_unused");
  const metricsOf = async () => {
    const written = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
    return written.replaceAll(/service="stripe",|,?service="stripe"/g, "").replaceAll("{}", "");
  };
  const seenSeconds = async () => Number(/^stripe_events_seen_timestamp_seconds (\S+)$/m.exec(await metricsOf())?.[1]);
  const post = async (payload: string, header: string | undefined, method = "POST") => {
    const url = `http://127.0.0.1:${service.httpPort}/webhooks/stripe`;
    const headers = header === undefined ? {} : { "stripe-signature": header };
    const response = await fetch(url, {
      method,
      headers,
      ...(method === "POST" && { body: payload }),
      redirect: "error",
    });
    return response.status;
  };
  const signed = (payload: string, secret = first, age = 0) =>
    webhooks.generateTestHeaderString({ payload, secret, timestamp: Math.floor(Date.now() / 1_000) - age });
  try {
    await until(async () => (await seenSeconds()) >= begunSeconds, "a look at all that happened");
    const { key, reference } = await captured();
    const { refund } = await refunded(reference, 100n);
    const early = world.fake.happen("refund.updated", refund);
    refund.status = "failed";
    const late = world.fake.happen("refund.failed", refund);
    world.fake.fault("retrieve refund", "limited");
    const cases: [payload: string, header: string | undefined, status: number][] = [
      [late, undefined, 400],
      [late, signed(late, stranger), 400],
      [`${late} `, signed(late), 400],
      [late, signed(late, first, 400), 400],
      [late, signed(late, first, -400), 400],
      ["x".repeat(300_000), signed("x"), 413],
      [late, signed(late), 503],
      [late, signed(late, second), 200],
      [early, signed(early), 200],
      [late, signed(late), 200],
    ];
    for (const [payload, header, status] of cases) assert.equal(await post(payload, header), status, header);
    assert.equal(await post("", undefined, "GET"), 405);
    const metrics = await metricsOf();
    for (const line of [
      'stripe_webhooks_total{status="200"} 3',
      'stripe_webhooks_total{status="400"} 5',
      'stripe_webhooks_total{status="503"} 1',
      "stripe_webhook_lag_seconds_count 3",
      'stripe_request_seconds_count{endpoint="retrieve refund",answer="unsent"} 1',
      "stripe_rate_wait_seconds_count ",
    ]) {
      assert.ok(metrics.includes(line), `${line}\n${metrics}`);
    }
    const other = world.fake.happen("customer.created", { id: "cus_1" });
    assert.equal(await post(other, signed(other)), 200);
    assert.deepEqual(
      (await listed(key)).map(({ kind }) => kind),
      ["refund_failed"],
    );
  } finally {
    await service.drain();
  }
});
