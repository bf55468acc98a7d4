import { getOption } from "@bufbuild/protobuf";
import { predefined } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { currency } from "#gen/shop/type/v1/rules_pb.js";

/** Digits of the minor unit, in the order in which the contract's rule lists the currencies. */
const digitsOfLists = [2, 0, 3];

/** The currencies that people pay with, as the rule `currency` of the contract lists them, each with the digits of its minor unit: EUR has 2. */
export const currencyDigits: ReadonlyMap<string, number> = new Map(
  [...(getOption(currency, predefined).cel[0]?.expression ?? "").matchAll(/\^\(([A-Z|]+)\)\$/g)].flatMap(
    ([, list = ""], index) => list.split("|").map((code) => [code, digitsOfLists[index] ?? 0] as const),
  ),
);
