import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lookUp, openLists } from "../src/screening/lists.ts";
import { type Facts, findingOf, judge, type Rules, rulesSchema, sharesName } from "../src/screening/rules.ts";

const day = 24 * 60;
const quiet: Facts = {
  currency: "EUR",
  total: 5_000n,
  customerAgeMs: 400 * day * 60_000,
  counts: { customerOrders: 0, cardOrders: 0, addressOrders: 0, cardCustomers: 0 },
  namesDiffer: false,
};

function verdictOf(rules: Rules, facts: Partial<Facts> = {}) {
  const { verdict, reasons } = findingOf(judge(rulesSchema.parse(rules), { ...quiet, ...facts }));
  return [verdict, ...reasons];
}

describe("the rules of screening", () => {
  const rules: Rules = {
    amount: { review: { EUR: 100_000, JPY: 20_000 }, refuse: { EUR: 1_000_000 } },
    new_customer: { minutes: day, review: { EUR: 30_000 } },
    card_orders: { minutes: 60, review: 3, refuse: 10 },
    card_customers: { minutes: day, refuse: 3 },
    name_mismatch: { review: { EUR: 50_000 } },
  };
  const counts = (changes: Partial<Facts["counts"]>) => ({ counts: { ...quiet.counts, ...changes } });
  const cases: [what: string, facts: Partial<Facts>, verdict: string[]][] = [
    ["an ordinary order passes", {}, ["pass"]],
    ["a total just below a bound passes", { total: 99_999n }, ["pass"]],
    ["a total at a bound is looked at", { total: 100_000n }, ["review", "AMOUNT"]],
    ["bounds are of their currency, in its minor units", { currency: "JPY", total: 20_000n }, ["review", "AMOUNT"]],
    ["a currency without a bound has none", { currency: "CHF", total: 10n ** 12n }, ["pass"]],
    [
      "the strictest verdict counts, with its own reasons",
      { total: 1_000_000n, namesDiffer: true },
      ["refuse", "AMOUNT"],
    ],
    ["a new customer has bounds of its own", { total: 30_000n, customerAgeMs: 60_000 }, ["review", "NEW_CUSTOMER"]],
    ["a customer is new no more after its time", { total: 30_000n, customerAgeMs: day * 60_000 }, ["pass"]],
    ["the second order by a card passes", counts({ cardOrders: 1 }), ["pass"]],
    ["the third one is looked at", counts({ cardOrders: 2 }), ["review", "CARD_ORDERS"]],
    ["the tenth is refused", counts({ cardOrders: 9 }), ["refuse", "CARD_ORDERS"]],
    ["a card of a third customer is refused", counts({ cardCustomers: 2 }), ["refuse", "CARD_CUSTOMERS"]],
    ["other names count from a total on", { total: 50_000n, namesDiffer: true }, ["review", "NAME_MISMATCH"]],
    ["below it they do not", { total: 49_999n, namesDiffer: true }, ["pass"]],
    [
      "whatever is found is told",
      { total: 100_000n, namesDiffer: true, customerAgeMs: 0 },
      ["review", "AMOUNT", "NEW_CUSTOMER", "NAME_MISMATCH"],
    ],
  ];
  for (const [what, facts, verdict] of cases) test(what, () => assert.deepEqual(verdictOf(rules, facts), verdict));

  test("nothing is looked at without rules", () => {
    const extreme = { total: 10n ** 12n, customerAgeMs: 0, namesDiffer: true, ...counts({ cardOrders: 1_000 }) };
    assert.deepEqual(verdictOf({}, extreme), ["pass"]);
  });

  test("a slip in them is found", () => {
    for (const slip of [
      { amuont: {} },
      { amount: { review: { EUR: 0 } } },
      { card_orders: { minutes: 0, review: 3 } },
    ]) {
      assert.equal(rulesSchema.safeParse(slip).success, false, JSON.stringify(slip));
    }
  });
});

describe("names", () => {
  const cases: [recipient: string, names: string[], shares: boolean][] = [
    ["Ada Lovelace", ["Ada", "Lovelace"], true],
    ["LOVELACE, A.", ["Ada", "Lovelace"], true],
    ["Familie Müller", ["Jörg", "Muller"], true],
    ["Charles Babbage", ["Ada", "Lovelace"], false],
    ["A", ["Ada", "Lovelace"], true],
    ["Somebody", ["", ""], true],
  ];
  for (const [recipient, names, shares] of cases) {
    test(`"${recipient}" ${shares ? "may be" : "is not"} ${names.join(" ")}`, () => {
      assert.equal(sharesName(recipient, names), shares);
    });
  }
});

describe("lists", () => {
  const customerId = "01M7Z4ZT4ST1WJHG07F45A2X72";
  const marks = {
    customerId,
    emailHash: "0123456789abcdef",
    cardHash: "fedcba9876543210",
    postalHash: "hash of DE-10119",
  };
  const open = (lists: Parameters<typeof openLists>[0]) => openLists(lists, async (code) => `hash of ${code}`);
  const said = async (lists: Parameters<typeof openLists>[0]) => {
    const hits = lookUp(await open(lists), marks);
    return hits && Object.values(findingOf(hits)).slice(0, 2);
  };

  test("say nothing of whom they do not name", async () => {
    assert.deepEqual(await said({}), ["pass", []]);
    assert.deepEqual(await said({ refuse: { customers: ["01M7Z4ZT4ST1WJHG07F45A2X73"] } }), ["pass", []]);
  });

  test("let through whom they allow, whatever the rules say, and refuse first whom they refuse", async () => {
    const allow = { customers: [customerId] };
    assert.equal(await said({ allow, review: { cards: [marks.cardHash] } }), undefined);
    assert.deepEqual(await said({ allow, refuse: { cards: [marks.cardHash] } }), ["refuse", ["LISTED_CARD"]]);
  });

  test("know customers, e-mail addresses, postal codes and cards", async () => {
    const review = {
      customers: [customerId],
      emails: [marks.emailHash],
      postal_codes: ["DE-10119"],
      cards: [marks.cardHash],
    };
    const all = ["LISTED_CUSTOMER", "LISTED_EMAIL", "LISTED_POSTAL_CODE", "LISTED_CARD"];
    assert.deepEqual(await said({ review }), ["review", all]);
  });
});
