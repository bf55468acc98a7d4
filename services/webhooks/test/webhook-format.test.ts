// What a subscriber gets is what Standard Webhooks says: its own library reads it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Webhook } from "standardwebhooks";
import { newId } from "#platform/id.ts";
import { pauseAfter, retryAfterMs } from "../src/delivery/schedule.ts";
import { bodyOf, fitting, longestBody } from "../src/delivery/webhook-body.ts";
import { isPersonal, isProven, wants } from "../src/endpoint/endpoint.ts";
import { newWebhookSecret, signatureOf, signedHeaders } from "../src/endpoint/webhook-secret.ts";

const now = () => Math.floor(Date.now() / 1_000);

describe("a signature", () => {
  it("is what Standard Webhooks' own library expects", () => {
    const secret = newWebhookSecret();
    const id = newId();
    const time = new Date();
    const body = bodyOf({ type: "shop.orders.order.shipped.v1", subject: "", time, data: '{"orderId":"ä"}' });
    const headers = signedHeaders([secret], { id, seconds: now(), body });
    assert.deepEqual(new Webhook(secret).verify(body, headers), {
      type: "shop.orders.order.shipped.v1",
      timestamp: time.toISOString(),
      data: { orderId: "ä" },
    });
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  });

  it("is by each secret that is valid, so that both the one of before and the one of now fit", () => {
    const [former, current, other] = [newWebhookSecret(), newWebhookSecret(), newWebhookSecret()];
    const headers = signedHeaders([current, former], { id: "id", seconds: now(), body: "{}" });
    new Webhook(former).verify("{}", headers);
    new Webhook(current).verify("{}", headers);
    assert.throws(() => new Webhook(other).verify("{}", headers));
  });

  it("is of the id, of the time and of the body", () => {
    const secret = newWebhookSecret();
    const signed = { id: "id", seconds: 1_700_000_000, body: "{}" };
    const signature = signatureOf(secret, signed);
    assert.equal(signature, new Webhook(secret).sign("id", new Date(1_700_000_000_000), "{}"));
    for (const other of [{ id: "other" }, { seconds: 1_700_000_001 }, { body: "{ }" }]) {
      assert.notEqual(signatureOf(secret, { ...signed, ...other }), signature);
    }
  });
});

describe("a body", () => {
  const told = { type: "shop.inventory.stock.reserved.v1", subject: "order-1", time: new Date() };

  it("is shorter than 20 kB: what is longer says what it is about, and that it is", () => {
    const at = (length: number) => {
      const empty = bodyOf({ ...told, data: '{"a":""}' }).length;
      return { ...told, data: `{"a":"${"x".repeat(length - empty)}"}` };
    };
    assert.equal(fitting(at(longestBody - 1)), at(longestBody - 1).data);
    assert.equal(fitting(at(longestBody)), '{"subject":"order-1","tooLong":true}');
  });

  it("is counted in bytes", () => {
    assert.match(fitting({ ...told, data: `{"a":"${"ä".repeat(10_000)}"}` }), /tooLong/);
  });
});

describe("the schedule", () => {
  const pauses = [5_000, 300_000];

  it("has a pause behind each attempt but the last, up to a fifth longer than it says", () => {
    assert.deepEqual(
      [1, 2, 3].map((tried) => [pauseAfter(pauses, tried, 0), pauseAfter(pauses, tried, 1)]),
      [
        [5_000, 6_000],
        [300_000, 360_000],
        [undefined, undefined],
      ],
    );
  });

  const day = 24 * 3_600_000;
  const at = Date.parse("2026-12-01T12:00:00Z");
  for (const [text, ms] of [
    [undefined, 0],
    ["", 0],
    ["120", 120_000],
    ["0", 0],
    ["-5", 0],
    ["1.5", 0],
    ["soon", 0],
    ["999999999", day],
    ["99999999999999999999", 0],
    ["Tue, 01 Dec 2026 12:01:00 GMT", 60_000],
    ["Tue, 01 Dec 2026 11:00:00 GMT", 0],
    ["Tue, 01 Dec 2099 12:00:00 GMT", day],
  ] as const) {
    it(`heeds Retry-After: ${text} as ${ms} ms`, () => {
      assert.equal(retryAfterMs(text, at), ms);
    });
  }
});

describe("an endpoint", () => {
  const type = "shop.orders.order.shipped.v1";
  for (const [eventTypes, is] of [
    [[type], true],
    [["shop.orders.order.shipped.v2"], false],
    [["shop.orders.*"], true],
    [["shop.orders.order.*"], true],
    [["shop.*"], true],
    [["shop.payments.*", "shop.orders.order.cut.v1"], false],
    [["shop.orders.ord.*"], false],
    [[], false],
  ] as const) {
    it(`that wants ${eventTypes.join(", ") || "nothing"} is ${is ? "" : "not "}told of ${type}`, () => {
      assert.equal(wants({ eventTypes, personal: false }, type), is);
    });
  }

  it("is told of customers and persons only where that was granted", () => {
    for (const personal of ["shop.orders.customer.updated.v1", "shop.identity.person.erased.v1"]) {
      assert.equal(isPersonal(personal), true);
      assert.equal(wants({ eventTypes: ["shop.*"], personal: false }, personal), false);
      assert.equal(wants({ eventTypes: ["shop.*"], personal: true }, personal), true);
    }
  });

  it("has proved itself where it is enabled, or was until it failed, but not where it has moved to", () => {
    assert.deepEqual(
      [
        { status: "unverified", disableReason: "" } as const,
        { status: "enabled", disableReason: "" } as const,
        { status: "disabled", disableReason: "failing" } as const,
        { status: "disabled", disableReason: "gone" } as const,
        { status: "disabled", disableReason: "moved" } as const,
      ].map(isProven),
      [false, true, true, true, false],
    );
  });
});
