import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { isCardNumber } from "#platform/redact/card-number.ts";
import { redact } from "#platform/redact/redact.ts";
import { redactText } from "#platform/redact/redact-text.ts";
import { cardOf, grouped, groupings, numbersFrom, pick, separators } from "#testing/card-samples.ts";

const places: ((card: string) => string)[] = [
  (card) => card,
  (card) => `charged ${card}, declined`,
  (card) => `card=${card};cvv=123`,
  (card) => `{"number":"${card}"}`,
  (card) => `PAN${card}END`,
  (card) => `https://shop.example/pay?c=${card}&x=1`,
  (card) => `order 0001H3ZK5M was paid with (${card}) at 2026-11-21T13:04:05.123Z`,
];

describe("redaction of card numbers", () => {
  it("finds 10,000 numbers of all brands, lengths, separators and groupings, as text and in fields", () => {
    const next = numbersFrom(20261121);
    for (let i = 0; i < 10_000; i++) {
      const digits = cardOf(next);
      const written = grouped(digits, pick(groupings, next), pick(separators, next));
      const text = pick(places, next)(written);
      const line = redact({ message: text, note: { deep: [text] }, [`k ${written}`]: 1 });
      assert.ok(!JSON.stringify(line).includes(written), text);
      assert.ok(!JSON.stringify(line).replace(/\D/g, "").includes(digits), `${text} → ${JSON.stringify(line)}`);
    }
  });

  it("finds numbers that are numbers", () => {
    assert.deepEqual(redact({ n: 4111111111111111, b: 4111111111111111n }), { n: "[redacted]", b: "[redacted]" });
  });

  it("finds a number in a row of other numbers", () => {
    assert.equal(redactText("1234 4111 1111 1111 1111 99 12"), "1234 [card number] 99 12");
    assert.equal(redactText("2026 378282246310005 17"), "2026 [card number] 17");
  });

  it("finds a number in digits of full width", () => {
    assert.equal(redactText("カード４１１１－１１１１－１１１１－１１１１です"), "カード[card number]です");
  });
});

describe("what must survive redaction", () => {
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  const samples: Record<string, (next: (below: number) => number) => string> = {
    "trace id": () => randomBytes(16).toString("hex"),
    "span id in traceparent": () =>
      `00-${randomBytes(16).toString("hex")}-a${randomBytes(8).toString("hex").slice(1)}-01`,
    uuid: () => randomUUID(),
    "order id": (next) => `0${Array.from({ length: 24 }, () => alphabet[next(32)]).join("")}k`,
    "upper case order id": (next) => `0${Array.from({ length: 24 }, () => alphabet[next(32)]).join("")}k`.toUpperCase(),
    "request id of a step": (next) =>
      `0${Array.from({ length: 24 }, () => alphabet[next(32)]).join("")}h:reserve:berlin`,
    time: (next) => new Date(1.7e12 + next(2 ** 30) * 100).toISOString(),
    milliseconds: (next) => `${1_790_000_000_000 + next(2 ** 30)}`,
    microseconds: (next) => `${1_790_000_000_000_000 + next(2 ** 30)}`,
    nanoseconds: (next) => `${1_790_000_000_000_000_000n + BigInt(next(2 ** 30))}`,
    "compact time": (next) => `202611211304${10 + next(49)}`,
    amount: (next) => `${next(10_000_000)}.${10 + next(89)} EUR`,
    "minor units": (next) => `${next(2 ** 31)}`,
    "address of a machine": (next) => `10.244.${next(255)}.${next(255)}:${1024 + next(60000)}`,
    "stack line": (next) => `at run (/app/node_modules/pg@8.23.0/lib/client.js:${next(900)}:${next(80)})`,
    sentence: (next) => `took ${next(900)} ms for ${next(64)} orders in ${next(9)} retries`,
  };

  for (const [name, sample] of Object.entries(samples)) {
    it(name, () => {
      const next = numbersFrom(7);
      for (let i = 0; i < 1000; i++) {
        const text = sample(next);
        assert.equal(redactText(text), text);
        assert.equal(redactText(`before ${text} after`), `before ${text} after`);
      }
    });
  }

  it("a UUID whose middle could be a phone number", () => {
    const text = "before 40115f68-0048-4305-8173-f5d096919183 after";
    assert.equal(redactText(text), text);
  });

  it("a traceparent whose first digits could be a card's", () => {
    const text = "00-445410616813343484da6a89b4ab2358-a2ad7a183c762bfe-01";
    assert.equal(redactText(text), text);
  });

  it("an untouched line is the same object", () => {
    const line = { level: "info", message: "listening", "server.address": "10.1.2.3", "span.id": "4111111111111111" };
    assert.equal(redact(line), line);
    assert.equal(isCardNumber("4111111111111112"), false);
  });
});

describe("redaction of personal data", () => {
  const cases: [text: string, expected: string][] = [
    ["mail to Ada.Lovelace+x@mail.example.org failed", "mail to [e-mail] failed"],
    ["Key (email)=(ada@example.org) already exists", "Key (email)=([e-mail]) already exists"],
    ["call +49 (30) 123 456-78 now", "call [phone] now"],
    ["call +14155552671", "call [phone]"],
    ["customer-+49 30 1234567", "customer-[phone]"],
    ["(415) 555-2671 and 415-555-2671", "[phone] and [phone]"],
    ["authorization: Bearer abc.def-ghi", "authorization: [redacted] [redacted]"],
    ["got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "got [redacted]"],
    ["gateway refused tok_decline", "gateway refused [redacted]"],
    ["postgres://orders:s3cret@db:5432/orders", "postgres://[redacted]@db:5432/orders"],
    ["?access_token=abcdefgh&x=1", "?access_token=[redacted]&x=1"],
    [
      '{"cvv":"123"} CVC: 1234, security code is 999',
      '{"cvv":"[redacted]"} CVC: [redacted], security code is [redacted]',
    ],
    ["the password is hunter2, he said", "the password is [redacted], he said"],
    ["lives at 12 Baker Street, London", "lives at [address], London"],
    ["wohnt Lange Hauptstraße 12a", "wohnt Lange [address]"],
  ];
  for (const [text, expected] of cases) it(expected, () => assert.equal(redactText(text), expected));

  const names = ["email", "customer.email", "givenName", "family_name", "PHONE", "shippingAddress", "cardToken"];
  for (const name of [...names, "Authorization", "x-api-key", "cvv", "DATABASE_URL", "smtp.password", "pageToken"]) {
    it(`the field ${name}`, () => {
      assert.deepEqual(redact({ a: [{ [name]: "plain" }] }), { a: [{ [name]: "[redacted]" }] });
      assert.deepEqual(redact({ [name]: { lines: ["plain"] } }), { [name]: "[redacted]" });
    });
  }

  it("errors keep their class and lose the data in message, stack, fields and causes", () => {
    const cause = new RangeError("4111 1111 1111 1111");
    const error = redact(Object.assign(new TypeError("for ada@example.org", { cause }), { detail: "+4930123456" }));
    assert.ok(error instanceof TypeError);
    assert.equal(error.message, "for [e-mail]");
    assert.ok(!error.stack?.includes("ada@"));
    assert.equal((error.cause as Error).message, "[card number]");
    assert.equal((error as Error & { detail: string }).detail, "[phone]");
  });
});

describe("the bounds of redaction", () => {
  it("cuts long texts, long lists, deep and circular values, and leaves nothing unseen in the line", () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`f${i}`, "ada@example.org"]));
    const line = {
      circle,
      many,
      list: Array(10_000).fill("ada@example.org"),
      text: `${"x ".repeat(9000)}ada@example.org`,
    };
    const text = JSON.stringify(redact(line));
    assert.ok(!text.includes("ada@"));
    assert.ok(text.length < 40_000, `${text.length}`);
  });

  it("takes time in proportion to the text, for the worst of texts too", () => {
    for (const piece of ["1", "1 ", "a", "a.", "+1", "@a", "A", "Aa ", "4-", "://", "token", "1 Aa "]) {
      const text = piece.repeat(16_000 / piece.length);
      const start = process.cpuUsage();
      redactText(text);
      const took = process.cpuUsage(start).user / 1000;
      assert.ok(took < 250, `${JSON.stringify(piece)}: ${took} ms`);
    }
  });
});
