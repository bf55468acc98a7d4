import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { defaultPayloadConverter, type Payload } from "@temporalio/common";
import { KeyRing, keysText } from "#platform/key-ring.ts";
import { Secret } from "#platform/secret.ts";
import { EncryptingCodec, payloadKeys } from "../../src/payloads/payload-codec.ts";
import { converterWith, testKeys } from "../stage/encryption.ts";

const key = (id: string, fill: string) => `${id} ${Buffer.alloc(32, fill).toString("base64")}`;
const codecOf = (text: string, namespace = "default") =>
  new EncryptingCodec(new KeyRing(new Secret(text, keysText), payloadKeys), namespace);
const plain = defaultPayloadConverter.toPayload({ recipient: "Ada Lovelace", cardToken: "tok_approve" }) as Payload;

async function only(payloads: Promise<Payload[]>): Promise<Payload> {
  const [payload] = await payloads;
  assert.ok(payload);
  return payload;
}

const textOf = ({ metadata, data }: Payload) =>
  Buffer.concat([...Object.values(metadata ?? {}), data ?? new Uint8Array()]);

describe("payloads", () => {
  test("are unreadable, say their key, differ each time, and are read again", async () => {
    const codec = codecOf(testKeys);
    const [one, other] = await codec.encode([plain, plain]);
    assert.ok(one && other);
    assert.ok(!textOf(one).includes("Ada"));
    assert.equal(Buffer.from(one.metadata?.["encryption-key-id"] ?? []).toString(), "recorded");
    assert.notDeepEqual(one.data, other.data);
    const [read] = await codec.decode([one]);
    assert.deepEqual(defaultPayloadConverter.fromPayload(read as Payload), {
      recipient: "Ada Lovelace",
      cardToken: "tok_approve",
    });
  });

  test("of the versions before, which are plain, are read as they are", async () => {
    assert.deepEqual(await codecOf(testKeys).decode([plain]), [plain]);
  });

  test("can be written plain and still be read, for a rollout", async () => {
    const [codec] = converterWith(new Secret(testKeys, keysText), "plain").payloadCodecs ?? [];
    assert.ok(codec);
    assert.deepEqual(await codec.encode([plain]), [plain]);
    const read = await only(codec.decode(await codecOf(testKeys).encode([plain])));
    assert.deepEqual(Buffer.from(read.data ?? []), Buffer.from(plain.data ?? []));
  });

  test("are encrypted with the last key and read with any", async () => {
    const old = await codecOf(key("old", "a")).encode([plain]);
    const both = codecOf(`# rotated\n${key("old", "a")}\n\n${key("new", "b")}`);
    assert.ok((await only(both.decode(old))).data);
    const fresh = await only(both.encode([plain]));
    assert.equal(Buffer.from(fresh.metadata?.["encryption-key-id"] ?? []).toString(), "new");
    await assert.rejects(
      codecOf(key("old", "a")).decode([fresh]),
      /encrypted with the key "new", which TEMPORAL_CODEC_KEYS has not: it has old; put the key back/,
    );
  });

  const wrongs: [what: string, change: (payload: Payload) => Payload, codec: EncryptingCodec][] = [
    ["were changed", (payload) => ({ ...payload, data: changed(payload.data) }), codecOf(key("one", "a"))],
    [
      "are cut off",
      (payload) => ({ ...payload, data: payload.data?.subarray(0, 20) ?? null }),
      codecOf(key("one", "a")),
    ],
    ["are of another namespace", (payload) => payload, codecOf(key("one", "a"), "other")],
    ["have another key of this name", (payload) => payload, codecOf(key("one", "b"))],
  ];
  for (const [what, change, codec] of wrongs) {
    test(`that ${what} are refused`, async () => {
      const sealed = await only(codecOf(key("one", "a")).encode([plain]));
      await assert.rejects(codec.decode([change(sealed)]), /cannot be decrypted/);
    });
  }
});

function changed(data: Uint8Array | null | undefined): Uint8Array {
  const bytes = Buffer.from(data ?? []);
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
  return bytes;
}

describe("keys of a file", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "ordermesh-keys-"));
  });
  after(() => rm(folder, { recursive: true }));

  test("are read again as soon as a payload has one that is not known", async () => {
    const file = join(folder, "keys");
    await writeFile(file, key("old", "a"));
    const secret = new Secret(key("old", "a"), keysText);
    secret.follow({ name: "TEMPORAL_CODEC_KEYS", file });
    const late = new EncryptingCodec(new KeyRing(secret, payloadKeys), "default");
    await writeFile(file, `${key("old", "a")}\n${key("new", "b")}\n`);
    const fresh = await codecOf(key("new", "b")).encode([plain]);
    assert.ok((await only(late.decode(fresh))).data);
    const own = await only(late.encode([plain]));
    assert.equal(Buffer.from(own.metadata?.["encryption-key-id"] ?? []).toString(), "new");
  });

  const bad: [text: string, says: RegExp][] = [
    ["", /holds no key/],
    ["# nothing", /holds no key/],
    ["one c2hvcnQ=", /line 1 no key/],
    [`${key("one", "a")}\n${key("one", "b")}`, /two keys that are called one/],
    [`${key("one", "a")} more`, /line 1 no key/],
    [key("a name", "a"), /line 1 no key/],
    [key("one", "a").replace("YWFh", "*Wx;"), /line 1 no key/],
  ];
  for (const [text, says] of bad) {
    test(`that are none are refused without being shown: ${JSON.stringify(text.slice(0, 12))}`, () => {
      const { error } = keysText.safeParse(text);
      assert.match(error?.issues[0]?.message ?? "", says);
      assert.ok(!error?.message.includes("YWFh"));
    });
  }
});
