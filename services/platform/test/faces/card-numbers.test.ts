import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { create, type DescField, type DescFile, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { pathToString, reflect } from "@bufbuild/protobuf/reflect";
import { FailureSchema } from "#gen/shop/type/v1/failure_pb.js";
import { cardNumbersIn, mayLookLikeCard } from "#platform/interceptors/card-numbers.ts";
import { hideCardNumbers, holdsCardNumber } from "#platform/redact/redact-text.ts";

const generated = join(import.meta.dirname, "../../src/gen/shop");
const card = "4111 1111 1111 1111";

async function requests(): Promise<DescMessage[]> {
  const modules = globSync("**/*_pb.js", { cwd: generated }).map(
    (path) => import(pathToFileURL(join(generated, path)).href) as Promise<Record<string, unknown>>,
  );
  const files = (await Promise.all(modules)).map(
    (module) => Object.values(module).find((part) => (part as { kind?: string }).kind === "file") as DescFile,
  );
  return files.flatMap((file) => file.services.flatMap(({ methods }) => methods.map(({ input }) => input)));
}

/** Every message that a request of this type may hold, with the path to it. */
function partsOf(schema: DescMessage, path = ""): { schema: DescMessage; path: string }[] {
  const inner = schema.fields.flatMap((field) => {
    const at = `${path}${field.name}${field.fieldKind === "list" ? "[0]" : ""}.`;
    return field.message ? partsOf(field.message, at) : [];
  });
  return [{ schema, path }, ...inner];
}

function textFields(schema: DescMessage): DescField[] {
  return schema.fields.filter((field) => field.scalar === ScalarType.STRING);
}

/** A request whose only text is a card number in the field at this path. */
function requestWith(schema: DescMessage, path: string): ReturnType<typeof reflect> {
  const message = reflect(schema);
  const [name = "", ...rest] = path.split(".");
  const field = schema.fields.find((each) => each.name === name.replace("[0]", ""));
  if (!field) throw new Error(`${schema.typeName} has no ${path}`);
  const value = rest.length > 0 && field.message ? requestWith(field.message, rest.join(".")) : card;
  if (field.fieldKind === "list") message.get(field).add(value);
  else message.set(field, value);
  return message;
}

describe("the requests of the contract", () => {
  it("hold no card number in any field, except in those for numbers of others", async () => {
    const free = new Set<string>();
    let looked = 0;
    for (const input of await requests()) {
      for (const { schema, path } of partsOf(input)) {
        for (const field of textFields(schema)) {
          const at = `${path}${field.name}${field.fieldKind === "list" ? "[0]" : ""}`;
          const found = cardNumbersIn(input, requestWith(input, at).message).map(pathToString);
          assert.deepEqual(found, mayLookLikeCard(field) ? [] : [at], `${input.typeName} ${at}`);
          if (mayLookLikeCard(field)) free.add(field.name);
          else looked += 1;
        }
      }
    }
    assert.ok(looked > 100, `${looked}`);
    // A name that no request has any more would let the next field of that name pass unseen.
    const named = ["event_id", "location_id", "page_token", "phone", "request_id", "saga", "sku", "step", "subject"];
    assert.deepEqual([...free].sort(), [...named, "tracking_number"]);
  });

  it("are not told the key of a map that is a number", () => {
    const failure = create(FailureSchema, { message: "no", metadata: { [card]: "x", y: card } });
    assert.deepEqual(cardNumbersIn(FailureSchema, failure).map(pathToString), ["metadata", "metadata"]);
  });
});

describe("a text", () => {
  const cards = [
    "4111111111111111",
    "paid with 4111-1111-1111-1111, thanks",
    "3782 822463 10005",
    "４１１１　１１１１　１１１１　１１１１",
    "tok_4111111111111111",
    "4111111111111111@example.com",
  ];
  for (const text of cards) {
    it(`holds a card number: ${text}`, () => {
      assert.ok(holdsCardNumber(text));
      assert.ok(!holdsCardNumber(hideCardNumbers(text)));
    });
  }

  const others = [
    "4111111111111112",
    "12 Baker Street, Flat 4",
    "call +49 30 123456-78",
    "01M7Z51SC2EEPG8A9AVAXZ5W60",
    "550e8400-e29b-41d4-a716-446655440000",
    "2026-11-21T13:40:15.743Z",
    "00-445410616813343484da6a89b4ab2358-a2ad7a183c762bfe-01",
    "１２３４５６７８９０１２３４５６",
  ];
  for (const text of others) it(`holds none: ${text}`, () => assert.equal(hideCardNumbers(text), text));
});
