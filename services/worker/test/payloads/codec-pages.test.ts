import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { after, before, describe, test } from "node:test";
import { defaultPayloadConverter, type Payload } from "@temporalio/common";
import { KeyRing, keysText } from "#platform/key-ring.ts";
import { listenOn } from "#platform/listen.ts";
import { Secret } from "#platform/secret.ts";
import { codecPages } from "../../src/payloads/codec-pages.ts";
import { CodecTokens, tokensText } from "../../src/payloads/codec-tokens.ts";
import { EncryptingCodec, payloadKeys } from "../../src/payloads/payload-codec.ts";
import { testKeys } from "../stage/encryption.ts";

const reader = "r".repeat(32);
const writer = "w".repeat(32);
const ui = "https://temporal.example";
const codec = new EncryptingCodec(new KeyRing(new Secret(testKeys, keysText), payloadKeys), "default");
const plain = defaultPayloadConverter.toPayload("Ada Lovelace") as Payload;

const base64 = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString("base64");
const asJson = ({ metadata, data }: Payload) => ({
  metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, bytes]) => [name, base64(bytes)])),
  data: base64(data),
});

describe("payloads are shown", () => {
  const said: { message: string; fields: object }[] = [];
  let server: Server;
  let url: string;

  before(async () => {
    const note = (message: string, fields: object = {}) => void said.push({ message, fields });
    const tokens = new CodecTokens(new Secret(`ada ${reader}\n# may write\nbob ${writer} encode`, tokensText));
    const logger = { info: note, warn: note } as unknown as Parameters<typeof codecPages>[0]["logger"];
    const options = { codec, tokens, namespace: "default", origins: [ui], maxBytes: 10_000, logger };
    server = createServer(codecPages(options));
    url = `http://127.0.0.1:${await listenOn(server, "127.0.0.1", 0)}`;
  });
  after(() => void server?.close());

  function post(path: string, headers: Record<string, string> = {}, body: unknown = { payloads: [] }) {
    return fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test("to whose token is known, and it is said who it was", async () => {
    const [sealed] = await codec.encode([plain]);
    const answer = await post("/codec/decode", bearer(reader), {
      payloads: [asJson(sealed as Payload), asJson(plain)],
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), { payloads: [asJson(plain), asJson(plain)] });
    assert.deepEqual(said.at(-1), { message: "payloads: decode 2", fields: { "user.id": "ada" } });
  });

  test("to Temporal's command, which says no namespace when it was not told one", async () => {
    assert.equal((await post("/codec/decode", { ...bearer(reader), "x-namespace": "" })).status, 200);
  });

  test("and written by whoever may do that too", async () => {
    const answer = await post("/codec/encode", bearer(writer), { payloads: [asJson(plain)] });
    const { payloads } = (await answer.json()) as { payloads: ReturnType<typeof asJson>[] };
    assert.equal(payloads[0]?.metadata.encoding, Buffer.from("binary/encrypted").toString("base64"));
  });

  test("to a page of the Temporal UI, which browsers ask for first", async () => {
    const asked = { origin: ui, "access-control-request-method": "POST" };
    const allowed = await fetch(`${url}/codec/decode`, { method: "OPTIONS", headers: asked });
    assert.equal(allowed.headers.get("access-control-allow-origin"), ui);
    assert.match(allowed.headers.get("access-control-allow-headers") ?? "", /authorization, content-type, x-namespace/);
    const answer = await post(`/codec/${reader}/decode`, { origin: ui, "x-namespace": "default" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("access-control-allow-origin"), ui);
  });

  const refused: [what: string, status: number, ask: () => Promise<Response>][] = [
    ["without a token", 401, () => post("/codec/decode")],
    ["with a token that is nobody's", 401, () => post("/codec/decode", bearer("x".repeat(32)))],
    ["with a token that is nobody's in the path", 401, () => post(`/codec/${"x".repeat(32)}/decode`)],
    ["who may only read and wants to write", 403, () => post("/codec/encode", bearer(reader))],
    ["from another page", 403, () => post("/codec/decode", { ...bearer(reader), origin: "https://evil.example" })],
    ["of another namespace", 403, () => post("/codec/decode", { ...bearer(reader), "x-namespace": "other" })],
    ["with what is no JSON", 400, () => post("/codec/decode", bearer(reader), "no")],
    ["with what is no payload", 400, () => post("/codec/decode", bearer(reader), { payloads: [{ data: "%" }] })],
    ["with more than is taken", 413, () => post("/codec/decode", bearer(reader), " ".repeat(10_001))],
    ["by GET", 405, () => fetch(`${url}/codec/decode`, { headers: bearer(reader) })],
    ["at another path", 404, () => post("/codec/other", bearer(reader))],
  ];
  for (const [what, status, ask] of refused) {
    test(`to nobody ${what}`, async () => {
      const answer = await ask();
      assert.equal(answer.status, status);
      const { message, ...more } = (await answer.json()) as { message: string };
      assert.deepEqual([said.at(-1)?.message, more], [`payloads: refused with ${status}, ${message}`, {}]);
    });
  }

  test("not when their key is not there, and it is said why to who runs this", async () => {
    const other = new KeyRing(new Secret(`other ${Buffer.alloc(32).toString("base64")}`, keysText), payloadKeys);
    const [sealed] = await new EncryptingCodec(other, "default").encode([plain]);
    const answer = await post("/codec/decode", bearer(reader), { payloads: [asJson(sealed as Payload)] });
    assert.equal(answer.status, 400);
    const last = said.at(-1)?.fields ?? {};
    assert.match(String("err" in last ? last.err : last), /the key "other"/);
  });
});
