import assert from "node:assert/strict";
import { test } from "node:test";
import { ordinaryParcel, parcelFacts } from "../src/booking/parcel-facts.ts";

const sender = { recipient: "Shop", lines: ["1 Dock"], city: "Berlin", postalCode: "10115", country: "DE" };

test("what nobody says of parcels is ordinary", () => {
  assert.deepEqual(parcelFacts.parse("{}")("BER-1"), ordinaryParcel);
});

test("what a location does not say, all others do", () => {
  const factsOf = parcelFacts.parse(
    JSON.stringify({ "*": { weightGrams: 2_000, serviceLevel: "express" }, "BER-1": { weightGrams: 500, sender } }),
  );
  assert.deepEqual(factsOf("BER-1"), { ...ordinaryParcel, weightGrams: 500, serviceLevel: "express", sender });
  assert.deepEqual(factsOf("HAM-1"), { ...ordinaryParcel, weightGrams: 2_000, serviceLevel: "express" });
  assert.deepEqual(factsOf("constructor"), factsOf("HAM-1"));
});

test("what parcels cannot be is refused, and named", () => {
  const wrong: [text: string, named: RegExp][] = [
    ["heavy", /is not what parcels are/],
    ['{"BER-1":{"weightGrams":0}}', /BER-1.*weightGrams/s],
    ['{"BER-1":{"sizeMm":[1,2]}}', /BER-1.*sizeMm/s],
    ['{"BER-1":{"weight":1}}', /weight/],
    ['{"*":{"sender":{"recipient":"x"}}}', /sender/],
  ];
  for (const [text, named] of wrong) assert.throws(() => parcelFacts.parse(text), named, text);
});
