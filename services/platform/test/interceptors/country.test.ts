// The countries of the contract beside the list that ICU keeps: when that changes, somebody has to decide.
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, getOption } from "@bufbuild/protobuf";
import { predefined } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import * as rules from "#gen/shop/type/v1/rules_pb.js";
import { contractValidator, violationsOf } from "#platform/interceptors/validation.ts";

const validator = contractValidator();
const expression = getOption(rules.country, predefined).cel[0]?.expression ?? "";
const ours = /\^\(([A-Z|]+)\)\$/.exec(expression)?.[1]?.split("|") ?? [];

/** ICU knows them, and ISO 3166-1 does not: it reserves them, leaves them to users, or took them back. */
const others: Readonly<Record<string, readonly string[]>> = {
  "reserved for parts of countries": ["AC", "CP", "CQ", "DG", "EA", "IC", "TA"],
  "reserved for unions and other names": ["EU", "EZ", "UK", "UN"],
  "left to users: Kosovo, the rest of Oceania, pseudo-locales, nowhere": ["XK", "QO", "XA", "XB", "ZZ"],
  "taken back, for those that were and those that followed them": [
    ...["AN", "BU", "CS", "DD", "DY", "FX", "HV", "NH", "NT", "RH", "SU", "TP", "VD", "YD", "YU", "ZR"],
  ],
};

function violations(country: string): string[] {
  const address = create(AddressSchema, { recipient: "Ada", lines: ["Main Street 1"], city: "London", country });
  return violationsOf(validator, AddressSchema, address).map(({ field, reason }) => `${field} ${reason}`);
}

test("are those of ICU but what ISO 3166-1 has not", () => {
  const names = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const known = letters
    .flatMap((one) => letters.map((two) => one + two))
    .filter((code) => names.of(code) !== undefined);
  const left = new Set(Object.values(others).flat());
  assert.deepEqual(
    ours,
    known.filter((code) => !left.has(code)),
  );
  assert.equal(ours.length, 249);
});

test("are where orders go, and nothing else is", () => {
  for (const country of ["DE", "GB", "US", "JP", "PS", "TW", "SS", "AX"]) assert.deepEqual(violations(country), []);
  for (const country of ["UK", "XX", "ZZ", "EU", "XK", "SU", "AN", "de", "D", "DEU", "", " DE", "D\u200bE"]) {
    assert.deepEqual(violations(country), ["country string.country"], country);
  }
});
