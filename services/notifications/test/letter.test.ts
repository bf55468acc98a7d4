import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { OrderSchema, OrderShipmentStatus } from "#gen/shop/orders/v1/order_pb.js";
import { currencyDigits } from "#platform/currency.ts";
import { newId } from "#platform/id.ts";
import { toHtml, toText } from "#platform/mail/letter.ts";
import { harmlessName } from "../src/letter/harmless-name.ts";
import { languageOf } from "../src/letter/language.ts";
import { letterOf, type Reader } from "../src/letter/letter.ts";
import { moneyText } from "../src/letter/money-text.ts";
import { type Draft, languages, notificationKinds } from "../src/notification/notification.ts";

const orderId = newId();
const shipmentId = newId();

function orderWith(given: { trackingNumber?: string; country?: string; parcels?: number } = {}) {
  const { trackingNumber = "TRACK-1", country = "DE", parcels = 1 } = given;
  return create(OrderSchema, {
    orderId,
    total: { currency: "EUR", amount: 123_456n },
    lines: [{ sku: "espresso-beans-1kg", quantity: 2 }],
    shippingAddress: { country },
    createTime: timestampFromDate(new Date("2026-12-01T23:30:00Z")),
    shipments: Array.from({ length: parcels }, (_, index) => ({
      locationId: `hub-${index}`,
      shipmentId: index === 0 ? shipmentId : newId(),
      status: OrderShipmentStatus.SHIPPED,
      trackingNumber,
      lines: [{ sku: "espresso-cup", quantity: 3 }],
    })),
  });
}

function letter(
  draft: Partial<Draft>,
  { order = orderWith(), ...given }: Partial<Reader> & { order?: ReturnType<typeof orderWith> } = {},
) {
  const reader = {
    language: "de",
    locale: "de-DE",
    name: "Ada",
    timeZone: "Europe/Berlin",
    shopName: "Laden",
  } as const;
  const whole = { kind: "order_confirmed", about: "", facts: {}, ...draft } as const;
  return letterOf(whole, order, { ...reader, ...given });
}

test("amounts have the digits of their currency in the contract, wherever they are read, and are never rounded", () => {
  const bare = (text: string) => text.replace(/\s/g, " ").replace("’", "'");
  const cases: [currency: string, amount: bigint, locale: string, expected: string][] = [
    ["EUR", 123_456n, "de-DE", "1.234,56 €"],
    ["EUR", 123_456n, "en-GB", "€1,234.56"],
    ["CHF", 123_456n, "de-CH", "CHF 1'234.56"],
    ["JPY", 123_456n, "en-GB", "JP¥123,456"],
    ["KWD", 1_234_567n, "en-GB", "KWD 1,234.567"],
    ["EUR", 5n, "en-GB", "€0.05"],
    ["HUF", 123_456n, "en-GB", "HUF 1,234.56"],
    ["EUR", 1_000_000_000_001n, "en-GB", "€10,000,000,000.01"],
  ];
  for (const [currency, amount, locale, expected] of cases) {
    assert.equal(bare(moneyText({ currency, amount }, locale)), expected);
  }
  for (const [currency, digits] of currencyDigits) {
    const said = moneyText({ currency, amount: 1_234_567n }, "en-GB").replace(/[^\d]/g, "");
    assert.equal(said, "1234567", `${currency} with ${digits} digits`);
  }
});

test("the language is the one that the customer wants, else that of most people where the order goes", () => {
  const cases: [wanted: "" | "en" | "de", country: string, language: string, locale: string][] = [
    ["", "DE", "de", "de-DE"],
    ["", "AT", "de", "de-AT"],
    ["", "GB", "en", "en-GB"],
    ["", "", "en", "en"],
    ["en", "CH", "en", "en-CH"],
    ["de", "US", "de", "de-US"],
    ["", "<script>", "en", "en"],
  ];
  for (const [wanted, country, language, locale] of cases) {
    assert.deepEqual(languageOf(wanted, country), { language, locale });
  }
});

test("who has a name that could be anything else is greeted without it", () => {
  const cases: [given: string, family: string, expected: string][] = [
    ["Ada", "Lovelace", "Ada Lovelace"],
    ["Zoë", "O’Neill-Śmigły", "Zoë O’Neill-Śmigły"],
    ["Þór  J.", "R. R.", "Þór J. R. R."],
    ["李", "小龙", "李 小龙"],
    ["Win 1000 € at", "evil.example", ""],
    ["Visit", "evil.example", ""],
    ["https://evil.example", "", ""],
    ["Ada\r\nBcc: evil@example.com", "Lovelace", ""],
    ["<b>Ada</b>", "Lovelace", ""],
    ['"Ada" <evil@example.com>,', "Lovelace", ""],
    ["Ada\u202egnp.exe", "Lovelace", ""],
    ["=?utf-8?q?Ada?=", "Lovelace", ""],
    ["A".repeat(80), "Lovelace", ""],
    ["", "", ""],
  ];
  for (const [given, family, expected] of cases) assert.equal(harmlessName(given, family), expected, given);
});

test("every kind is told in every language, by the order that it is about and without anything that is missing", () => {
  const facts = { currency: "EUR", amount: "990", reason: "OUT_OF_STOCK", pieces: 2 };
  for (const language of languages) {
    for (const kind of notificationKinds) {
      for (const [name, more] of [
        ["Ada", facts],
        ["", {}],
      ] as const) {
        const made = letter({ kind, about: shipmentId, facts: more }, { language, locale: language, name });
        const text = toText(made);
        assert.match(made.subject, new RegExp(orderId), kind);
        assert.doesNotMatch(text + made.subject, /undefined|null|NaN| {2}|\n\n\n/, `${language} ${kind}`);
        assert.match(text, name === "" ? /^(?:Hello|Guten Tag),\n/ : /^(?:Hello|Guten Tag) Ada,\n/);
        assert.equal(text.includes("espresso"), /confirmed|changed|parcel/.test(kind), kind);
        assert.match(toHtml(made, language), new RegExp(`^<!doctype html>\n<html lang="${language}">`));
        assert.match(
          toHtml(made, language),
          /<meta name="viewport" content="width=device-width">/,
          "as wide as a phone",
        );
      }
    }
  }
});

test("a confirmation says what was ordered when, by the reader's calendar, and what it costs", () => {
  const { subject, paragraphs, items } = letter({});
  assert.equal(subject, `Ihre Bestellung ${orderId} ist bestätigt`);
  assert.match(paragraphs[0] ?? "", /vom 2\. Dezember 2026 ist bestätigt\. Sie kostet 1\.234,56\s€\./);
  assert.deepEqual(items, ["2 × espresso-beans-1kg"]);
  const english = letter({}, { language: "en", locale: "en-GB", timeZone: "UTC" });
  assert.match(english.paragraphs[0] ?? "", /of 1 December 2026 is confirmed\. It comes to €1,234\.56\./);
});

test("a parcel says its number, unless it looks like something else, and whether there are others", () => {
  const about = { kind: "parcel_shipped", about: shipmentId } as const;
  assert.ok(letter(about).paragraphs.includes("Die Sendungsnummer ist TRACK-1."));
  for (const trackingNumber of ["", "https://evil.example/x", "call +49 900 1234; now"]) {
    assert.equal(letter(about, { order: orderWith({ trackingNumber }) }).paragraphs.length, 2, trackingNumber);
  }
  assert.match(letter(about, { order: orderWith({ parcels: 2 }) }).subject, /^Ein Paket Ihrer Bestellung/);
});

test("what is in a letter is no HTML", () => {
  const { html } = {
    html: toHtml(
      { subject: "<s>", greeting: `"><img src=x>`, paragraphs: ["a & b's"], items: ["<i>"], closing: "<b>" },
      "en",
    ),
  };
  assert.doesNotMatch(html, /<(?:s|img|i|b)>|<img/);
  assert.match(html, /&quot;&gt;&lt;img src=x&gt;/);
  assert.match(html, /a &amp; b&#39;s/);
});
