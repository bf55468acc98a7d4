// An endpoint on a whole stack: it proves itself, and what it is told of an order is signed, in its order, and comes once.
import assert from "node:assert/strict";
import { it } from "node:test";
import { tellOfAnOrder } from "../src/main.ts";
import { Receiver, type ToldEvent } from "../src/receiver.ts";

it("is told of an order, from its creation to its delivery", { timeout: 240_000 }, async () => {
  const told: ToldEvent[] = [];
  await tellOfAnOrder((event) => told.push(event));
  const statuses = told.map(({ type }) => type.replace(/^shop\.orders\.order\.|\.v1$/g, ""));
  const path = ["created", "confirmed", "preparing", "shipped", "delivered"];
  assert.deepEqual(
    statuses.filter((status) => path.includes(status)),
    path,
  );
  assert.equal(new Set(told.map(({ id }) => id)).size, told.length);
});

it("takes nothing that is not signed with its secret", async () => {
  const told: ToldEvent[] = [];
  await using receiver = await Receiver.listen((event) => told.push(event));
  receiver.secret = `whsec_${Buffer.from("a secret of thirty-two characters").toString("base64")}`;
  const headers = { "webhook-id": "x", "webhook-timestamp": String(Math.floor(Date.now() / 1_000)) };
  const body = JSON.stringify({ type: "shop.orders.order.delivered.v1", data: {} });
  for (const forged of [{}, { "webhook-signature": "v1,AAAA" }]) {
    const url = `http://127.0.0.1:${receiver.port}/hooks`;
    const { status } = await fetch(url, { method: "POST", headers: { ...headers, ...forged }, body });
    assert.equal(status, 401);
  }
  assert.deepEqual(told, []);
});
