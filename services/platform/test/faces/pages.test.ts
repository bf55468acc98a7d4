// A list answers what fits into a message, on every face and in every service.
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import {
  create,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { type Client, Code, createClient, type UnaryRequest, type UnaryResponse } from "@connectrpc/connect";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { wholePageInterceptor } from "#platform/interceptors/whole-page.ts";
import { failure } from "./calls.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";
import { faces } from "./faces.ts";

const limitBytes = 65_536;

describe("a page that is larger than a message", () => {
  let service: RunningConformance;
  before(async () => {
    service = await startConformance({ MAX_MESSAGE_BYTES: String(limitBytes) });
  });
  after(() => service.drain());

  async function all(client: Client<typeof ConformanceService>, count: number, itemSize: number) {
    const numbers: number[] = [];
    const lengths: number[] = [];
    let pageToken = "";
    do {
      const page = await client.listItems({ count, itemSize, pageSize: 200, pageToken });
      numbers.push(...page.items.map(({ number }) => number));
      lengths.push(page.items.length);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return { numbers, lengths };
  }

  for (const face of faces) {
    test(`is answered in parts, with nothing left out and nothing twice: ${face.name}`, async () => {
      const { transport, close } = face.transport(service);
      const client = createClient(ConformanceService, transport);
      const { numbers, lengths } = await all(client, 150, 1_000);
      assert.deepEqual(
        numbers,
        Array.from({ length: 150 }, (_, index) => index + 1),
      );
      assert.ok(lengths.length >= 3 && lengths.length <= 5, `${lengths}`);
      assert.deepEqual((await all(client, 3, 40_000)).lengths, [1, 1, 1]);
      assert.deepEqual((await all(client, 100, 10)).lengths, [100], "what fits is one page");
      const error = await failure(client.listItems({ count: 2, itemSize: limitBytes }));
      assert.equal(error.code, Code.ResourceExhausted, "an item that is too large alone");
      close();
    });
  }
});

const generated = join(import.meta.dirname, "../../src/gen/shop");
const modules = await Promise.all(
  globSync("**/*_pb.js", { cwd: generated }).map((path) => import(pathToFileURL(join(generated, path)).href)),
);
const files = modules.map(
  (module) => Object.values(module).find((part) => (part as DescFile).kind === "file") as DescFile,
);
const lists = files.flatMap((file) => file.services.flatMap(({ methods }) => methods)).filter(isList);

function isList({ output }: DescMethod): boolean {
  return output.fields.some(({ name }) => name === "next_page_token");
}

/** An item with a text of so many characters. */
function itemOf(schema: DescMessage, size: number): Message {
  const message = reflect(schema);
  const text = (each: DescField) => each.fieldKind === "scalar" && each.scalar === 9;
  const field = schema.fields.find(text);
  if (field) message.set(field, "i".repeat(size));
  return message.message;
}

describe("every list of the contract", () => {
  const names = lists.map(({ parent, name }) => `${parent.typeName}/${name}`);

  test("is there", () => assert.ok(names.length > 10, names.join()));

  for (const method of lists) {
    test(`answers what fits: ${method.parent.typeName}/${method.name}`, async () => {
      const field = method.output.fields.find((each) => each.fieldKind === "list" && each.listKind === "message");
      assert.ok(field?.message, "a list of messages");
      const item = itemOf(field.message, 1_000);
      const asked: number[] = [];
      const next = async (request: UnaryRequest) => {
        const { pageSize } = request.message as Message & { pageSize: number };
        asked.push(pageSize);
        const message = create(method.output, { [field.localName]: Array(pageSize).fill(item) });
        return { stream: false, message } as UnaryResponse;
      };
      const message = create(method.input, { pageSize: 200 });
      const request = { stream: false, method, message, header: new Headers() } as unknown as UnaryRequest;
      const answer = await wholePageInterceptor(limitBytes)(next as never)(request);
      assert.ok(!answer.stream && toBinary(method.output, answer.message).length <= limitBytes);
      assert.ok(asked.length === 2 && (asked[1] ?? 0) > 30, `${asked}`);
    });
  }
});
