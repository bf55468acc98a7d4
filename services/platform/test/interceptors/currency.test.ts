// The currencies of the contract beside two lists that others keep: when one of them changes, somebody has to decide.
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { create, type DescFile, type DescMessage, type DescService } from "@bufbuild/protobuf";
import { pathToString, reflect } from "@bufbuild/protobuf/reflect";
import * as kept from "dinero.js/currencies";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import { currencyDigits } from "#platform/currency.ts";
import { ownEntries } from "#platform/interceptors/entries.ts";
import { contractValidator } from "#platform/interceptors/validation.ts";

const validator = contractValidator();

/** What is counted in them is converted before anybody pays. */
const funds = ["BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD"];
/** ISO 4217 took them off its list; the lists of others keep some, to show old amounts. */
const withdrawn = ["ANG", "BGN", "CUC", "HRK", "SLL", "ZWL"];
/** Of no country, and without minor units. */
const unitsOfAccount = ["XDR", "XSU"];

function violations(currency: string): string[] {
  const { violations: found = [] } = validator.validate(MoneySchema, create(MoneySchema, { currency, amount: 1n }));
  return found.map(({ field, ruleId }) => `${pathToString(field)} ${ruleId}`);
}

/** The requests that carry money, each with the way to its currency. */
async function moneyOfRequests(): Promise<[input: DescMessage, way: string[]][]> {
  const generated = join(import.meta.dirname, "../../src/gen/shop");
  const found: [DescMessage, string[]][] = [];
  for (const path of globSync("**/*_pb.js", { cwd: generated })) {
    const parts: (DescFile | DescService)[] = Object.values(await import(pathToFileURL(join(generated, path)).href));
    const methods = parts.filter((part) => part.kind === "service").flatMap((service) => service.methods);
    for (const { input } of methods) for (const way of waysToMoney(input)) found.push([input, way]);
  }
  return found;
}

function waysToMoney(type: DescMessage, seen: readonly DescMessage[] = []): string[][] {
  if (seen.includes(type)) return [];
  return type.fields.flatMap((field) => {
    // Entries that are judged each for itself are requests of another call, which is here too.
    if (!field.message || field.fieldKind === "map" || ownEntries(type) === field) return [];
    if (field.message === MoneySchema) return [[field.name]];
    return waysToMoney(field.message, [...seen, type]).map((way) => [field.name, ...way]);
  });
}

/** A message that holds, at the end of the way, so much of a currency, and where its path says that this is. */
function holding(type: DescMessage, [name = "", ...way]: string[], currency: string): [message: object, path: string] {
  const field = type.fields.find((each) => each.name === name);
  assert.ok(field?.message, name);
  const [inner, path] =
    way.length > 0
      ? holding(field.message, way, currency)
      : [create(MoneySchema, { currency, amount: 1n }), "currency"];
  const message = reflect(type);
  if (field.fieldKind === "list") message.get(field).add(reflect(field.message, inner as never));
  else message.set(field, reflect(field.message, inner as never));
  return [message.message, `${name}${field.fieldKind === "list" ? "[0]" : ""}.${path}`];
}

describe("the currencies of the contract", () => {
  test("are those of a kept list but funds and what was withdrawn since", () => {
    const theirs = Object.keys(kept).filter((code) => ![...funds, ...withdrawn].includes(code));
    assert.deepEqual([...currencyDigits.keys()].sort(), theirs.sort());
  });

  test("are those that ICU knows but what was withdrawn, and the second one of Venezuela", () => {
    const theirs = Intl.supportedValuesOf("currency").filter(
      (code) => ![...withdrawn, ...unitsOfAccount].includes(code),
    );
    assert.deepEqual([...currencyDigits.keys()].filter((code) => code !== "VED").sort(), theirs.sort());
  });

  test("have as many minor units as the kept list says, of which two are divided by five and written with two digits", () => {
    for (const [code, { exponent }] of Object.entries(kept)) {
      const written = code === "MGA" || code === "MRU" ? 2 : exponent;
      if (currencyDigits.has(code)) assert.equal(currencyDigits.get(code), written, code);
    }
  });

  test("refuse every other three letters", () => {
    const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
    const all = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => `${a}${b}${c}`)));
    assert.deepEqual(all.filter((code) => violations(code).length === 0).sort(), [...currencyDigits.keys()].sort());
    for (const code of ["", "eur", "EUR ", " EUR", "EUR\n", "EURO", "EU", "978", "ЕUR"]) {
      assert.deepEqual(violations(code), ["currency string.currency"], code);
    }
  });

  test("are asked for wherever a request carries money, by the name of the field", async () => {
    const found = await moneyOfRequests();
    assert.ok(found.length >= 10, `${found.length} places`);
    for (const [input, way] of found) {
      for (const currency of ["ZZZ", "XXX", "XTS", "XAU", "CLF", "BGN", "EUR"]) {
        const [message, path] = holding(input, way, currency);
        const { violations: told = [] } = validator.validate(input, message as never);
        const refused = told.some(({ field, ruleId }) => pathToString(field) === path && ruleId === "string.currency");
        assert.equal(refused, currency !== "EUR", `${input.typeName} ${path} ${currency}`);
      }
    }
  });
});
