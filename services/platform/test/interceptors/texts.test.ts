// What a text for people has to have, and how long it may be, as a person sees it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { CreateCustomerRequestSchema, UpdateCustomerRequestSchema } from "#gen/shop/orders/v1/customer_service_pb.js";
import { CancelOrderRequestSchema } from "#gen/shop/orders/v1/order_service_pb.js";
import { TrackingEventKind } from "#gen/shop/shipping/v1/shipment_pb.js";
import { ReportTrackingEventRequestSchema } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import { newId } from "#platform/id.ts";
import { contractValidator, violationsOf } from "#platform/interceptors/validation.ts";

const validator = contractValidator();
const person = { requestId: "r", givenName: "Ada", familyName: "Lovelace", email: "ada@example.com" };
const place = { recipient: "Ada", lines: ["Main Street 1"], city: "London", country: "GB" };

function ofName(givenName: string): string[] {
  const message = create(CreateCustomerRequestSchema, { ...person, givenName });
  return violationsOf(validator, CreateCustomerRequestSchema, message).map(({ field, reason }) => `${field} ${reason}`);
}

const invisible: Readonly<Record<string, string>> = {
  nothing: "",
  "a zero-width space and three spaces": "\u200b   ",
  "all kinds of space": " \t\r\n\u00a0\u1680\u2003\u2028\u202f\u205f\u3000",
  "joiners and a byte order mark": "\u200c\u200d\u2060\ufeff",
  "marks of direction": "\u200e\u200f\u202a\u202e\u202c\u2066\u2069\u061c",
  "a soft hyphen": "\u00ad",
  "Hangul fillers": "\u115f\u1160\u3164\uffa0",
  "an empty Braille pattern": "\u2800",
  "variation selectors and a grapheme joiner": "\ufe0f\u034f\u{e0100}\u180b",
  "accents without a letter": "\u0301\u0308",
  tags: "\u{e0041}\u{e007f}",
  "a null notehead": "\u{1d159}",
  controls: "\u0001\u0085",
};
const visible: Readonly<Record<string, string>> = {
  "a letter between zero-width spaces": "\u200bA\u200b",
  "a letter behind line breaks": "\n\nA",
  "a letter and its accents": "Zoe\u0308",
  Arabic: "\u200fمحمد",
  "Devanagari with a joiner": "क्\u200dष",
  Hangul: "\u1112\u1161\u11ab",
  "an emoji of several": "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
  "a flag": "\u{1f1e9}\u{1f1ea}",
  digits: "42",
  punctuation: "-",
  "a letter that is younger than most tables": "\u{10d50}",
};

describe("what makes a call or a parcel recognizable", () => {
  const request = { customerId: newId(), requestId: "r" };
  const idOf = (requestId: string) => {
    const message = create(UpdateCustomerRequestSchema, { ...request, requestId });
    return violationsOf(validator, UpdateCustomerRequestSchema, message).map(({ reason }) => reason);
  };
  const report = { kind: TrackingEventKind.DELIVERED, eventTime: timestampNow() };
  const numbersOf = (text: string) => {
    const event = { ...report, eventId: text };
    const message = create(ReportTrackingEventRequestSchema, { trackingNumber: text, event });
    return violationsOf(validator, ReportTrackingEventRequestSchema, message).map(({ field }) => field);
  };
  for (const [what, text] of Object.entries(invisible)) {
    test(`is not ${what}`, () => {
      assert.deepEqual(idOf(text), ["string.request_id"]);
      assert.deepEqual(numbersOf(text), ["tracking_number", "event.event_id"]);
    });
  }
  for (const [what, text] of Object.entries(visible)) {
    test(`may be ${what}`, () => assert.deepEqual([...idOf(text), ...numbersOf(text)], []));
  }
});

describe("a name", () => {
  for (const [what, text] of Object.entries(invisible)) {
    test(`is not ${what}`, () => assert.deepEqual(ofName(text), ["given_name string.visible"]));
  }
  for (const [what, text] of Object.entries(visible)) {
    test(`may be ${what}`, () => assert.deepEqual(ofName(text), []));
  }

  const characters: Readonly<Record<string, string>> = {
    letters: "x",
    "letters with accents of their own": "e\u0301\u0323",
    families: "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}",
    flags: "\u{1f1e9}\u{1f1ea}",
    "letters of Hangul in parts": "\u1112\u1161\u11ab",
    "line breaks of two": "\r\n",
  };
  for (const [what, text] of Object.entries(characters)) {
    test(`has up to a hundred ${what}`, () => {
      assert.deepEqual(ofName(`x${text.repeat(99)}`), []);
      assert.deepEqual(ofName(`x${text.repeat(100)}`), ["given_name string.characters"]);
    });
  }

  test("has a bound behind what a person counts: a letter may not carry a thousand accents", () => {
    assert.deepEqual(ofName(`e${"\u0301".repeat(1_599)}`), []);
    assert.deepEqual(ofName(`e${"\u0301".repeat(1_600)}`), ["given_name string.characters"]);
  });

  test("is refused once, in words that name the limit", () => {
    const message = create(CreateCustomerRequestSchema, { ...person, givenName: "x".repeat(101) });
    const [told, ...more] = violationsOf(validator, CreateCustomerRequestSchema, message);
    assert.deepEqual(more, []);
    assert.equal(told?.description, "must not have more than 100 characters");
  });
});

test("every text that names something for people has something to see", () => {
  const blank = "\u200b ";
  const told = [
    violationsOf(
      validator,
      CreateCustomerRequestSchema,
      create(CreateCustomerRequestSchema, { ...person, givenName: blank, familyName: blank }),
    ),
    violationsOf(
      validator,
      UpdateCustomerRequestSchema,
      create(UpdateCustomerRequestSchema, { requestId: "r", customerId: newId(), givenName: blank, familyName: blank }),
    ),
    violationsOf(
      validator,
      CancelOrderRequestSchema,
      create(CancelOrderRequestSchema, { requestId: "r", orderId: newId(), reason: blank }),
    ),
    violationsOf(
      validator,
      AddressSchema,
      create(AddressSchema, { ...place, recipient: blank, lines: ["x", blank], city: blank, postalCode: blank }),
    ),
  ];
  assert.deepEqual(
    told.map((violations) => violations.map(({ field, reason }) => `${field} ${reason}`)),
    [
      ["given_name string.visible", "family_name string.visible"],
      ["given_name string.visible", "family_name string.visible"],
      ["reason string.visible"],
      ["recipient string.visible", "lines[1] string.visible", "city string.visible", "postal_code string.visible"],
    ],
  );
  assert.deepEqual(violationsOf(validator, AddressSchema, create(AddressSchema, place)), []);
});
