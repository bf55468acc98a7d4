// The fake of Stripe as a process: `node fake-stripe-main.ts <port> <webhook secret> <URL of a webhook endpoint>…`. Of a payment whose card is called
// `pm_card_<endpoint>_<fault>`, or `pm_<anything>_card_<endpoint>_<fault>`, the first request to that endpoint suffers that fault. Webhooks come late, twice, in any order, and one in four never.
import { setTimeout as delay } from "node:timers/promises";
import Stripe from "stripe";
import { FakeStripe, faults } from "./fake-stripe.ts";

const [port = "", secret = "", ...endpoints] = process.argv.slice(2);
/** How late webhooks come at most, and how long it takes until one is told again that was not taken, in milliseconds. */
const latestMs = 4_000;
const againMs = 2_000;
/** So often one is told that nobody takes. */
const attempts = 60;
const { webhooks } = new Stripe("sk_test_of_a_fake");

const suffered = new Set<string>();

const fake = await FakeStripe.start(Number(port));
fake.hangMs = 4_000;
fake.pageSize = 100;
fake.trouble = (endpoint, { card, metadata }) => {
  const [, name, wanted] = /^pm_card_([a-z]+)_(\w+)$/.exec(card) ?? [];
  const payment = `${endpoint} ${metadata.key ?? metadata.payment_method}`;
  if (name !== endpoint || suffered.has(payment)) return undefined;
  suffered.add(payment);
  return faults.find((fault) => fault === wanted);
};
fake.tell = (payload) => {
  const times = Math.floor(Math.random() * 4);
  for (let time = 0; time < Math.min(times, 2); time += 1) void tell(payload, Math.random() * latestMs);
};

async function tell(payload: string, lateMs: number): Promise<void> {
  await delay(lateMs);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await isTaken(payload)) return;
    await delay(againMs);
  }
}

async function isTaken(payload: string): Promise<boolean> {
  const url = endpoints[Math.floor(Math.random() * endpoints.length)] ?? "";
  const headers = { "stripe-signature": webhooks.generateTestHeaderString({ payload, secret }) };
  const request = { method: "POST", headers, body: payload, signal: AbortSignal.timeout(5_000) };
  try {
    const answer = await fetch(url, request);
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
