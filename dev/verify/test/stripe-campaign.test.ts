// A shop sells by the connector to Stripe, whose processes are killed and whose ways are cut off meanwhile: every order comes to its end, and our books
// equal those of Stripe.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { campaignSeed } from "../../config.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { runCampaign } from "../campaign.ts";
import { compareWithStripe } from "../stripe-books.ts";
import { shortened, summary } from "../verdict.ts";
import { pace } from "../wanted.ts";

const kinds = ["slow", "cut", "silence", "deaf"] as const;
/** Each process of the connector is killed so often, and as long after the one before it, in milliseconds. */
const deaths = { times: 3, everyMs: 3_000 } as const;

async function killInTurn(stack: Stack): Promise<void> {
  for (let death = 0; death < deaths.times; death += 1) {
    for (const replica of stack.replicas("stripe")) {
      await delay(deaths.everyMs);
      stack.kill(replica);
    }
  }
}

/** What Stripe has captured and the connector does not know of must be said, unless it is being found out; and what was asked for and is taken for somebody else's. */
async function assertDifferenceIsFound(stack: Stack): Promise<void> {
  const client = new pg.Client({ connectionString: stack.databaseUrl("stripe", "postgres") });
  await client.connect();
  const one =
    "select key from gateway_authorization where captured > 1 and refunded = 0 and captured + voided = amount limit 1";
  const { rows } = await client.query<{ intent_id: string }>(
    `update gateway_authorization set captured = captured - 1, voided = voided + 1 where key in (${one}) returning intent_id`,
  );
  const captures = "select key from gateway_operation where kind = 'capture' and state = 'approved'";
  await client.query(`update gateway_operation set outside = true where key in (${captures} limit 1)`);
  const [wrong = "", other = "", ...more] = await compareWithStripe(stack, { atRest: true, withinMs: 0 });
  assert.match(wrong, new RegExp(`^payment ${rows[0]?.intent_id} of .* at Stripe, and .* for the connector$`));
  assert.match(other, /^the CAPTURE [\w-]+, which is ours, is taken for somebody else's$/);
  assert.deepEqual(more, []);
  assert.deepEqual(await compareWithStripe(stack, { atRest: false, withinMs: 0 }), [wrong, other]);
  const ofPayment = "select key from gateway_authorization where intent_id = $1";
  await client.query(
    `update gateway_operation set state = 'sent' where kind = 'authorize' and authorization_key in (${ofPayment})`,
    [rows[0]?.intent_id],
  );
  assert.deepEqual(await compareWithStripe(stack, { atRest: false, withinMs: 0 }), [other]);
  await client.end();
}

test("every order that is paid by Stripe comes to its end, whatever happens to the connector, and Stripe has what we know", {
  timeout: 5 * 60_000,
}, async (context) => {
  const { signal } = context;
  const seed = campaignSeed ?? randomInt(2 ** 31);
  context.diagnostic(`ORDERMESH_CAMPAIGN_SEED=${seed}`);
  const ground = { gateway: "stripe", replicas: 2, network: true, environment: pace } as const;
  await using stack = await Stack.start({ ports: await freePorts(), signal, ...ground });
  const said: string[] = [];
  const plan = { seed, orders: 50, overMs: 20_000, faults: 4, kinds };
  const running = runCampaign(stack, plan, { signal, say: (sentence) => said.push(sentence) });
  const [result] = await Promise.all([running, killInTurn(stack)]);
  context.diagnostic(`outcomes: ${summary(result.states)}; ended ${result.endedAfterMs} ms after the last fault`);
  assert.deepEqual(shortened(result.violations), [], said.join("\n"));
  assert.equal(result.operators, 0, said.join("\n"));
  assert.ok(result.states.length > plan.orders / 2, `${result.states.length} orders came`);
  await assertDifferenceIsFound(stack);
});
