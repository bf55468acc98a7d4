// What Temporal keeps of orders, of real persons by the look of it, on a real server.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { keysText } from "#platform/key-ring.ts";
import { listenOn } from "#platform/listen.ts";
import { Secret } from "#platform/secret.ts";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { tool } from "../../../../dev/tools/tool.ts";
import { codecPages } from "../../src/payloads/codec-pages.ts";
import { CodecTokens, tokensText } from "../../src/payloads/codec-tokens.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { converterWith, dataConverter, testKeys } from "../stage/encryption.ts";
import { anOrder, taskQueue } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { on, type Rule } from "../world/rules.ts";
import { RawHistories } from "./histories.ts";

const persons = 100;
const requestId = "asked by request@private.example";

/** An order whose address and card nobody else has, and the texts that tell whose it is. */
function orderOf(number: number): { order: SagaOrder; texts: string[] } {
  const texts = {
    name: `Person Nobody${number}`,
    street: `${number} Hidden Lane`,
    email: `nobody${number}@private.example`,
    card: `tok_private${number}_`,
  };
  const address = {
    recipient: texts.name,
    lines: [texts.street, texts.email],
    city: "Berlin",
    postalCode: "10115",
    country: "DE",
  };
  return { order: anOrder({ address, cardToken: texts.card }), texts: Object.values(texts) };
}

/** Checkouts, refusals, retries, compensations, cancellations and workflows that fail with somebody's name. */
async function everything(stage: Stage): Promise<{ texts: string[]; histories: Buffer }> {
  const all = Array.from({ length: persons }, (_, number) => orderOf(number));
  const orders = all.map(({ order }) => order);
  const [first, second, third, fourth] = orders as [SagaOrder, SagaOrder, SagaOrder, SagaOrder];
  stage.place(orders, [
    on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED", metadata: { of: "Person Nobody0" } }, first),
    on("confirm", { kind: "unavailable" }, { orderId: second.orderId, times: 3 }),
    on("capture", { kind: "invalid" }, { orderId: third.orderId, times: 5 }),
    cancelling(stage, fourth.orderId),
  ]);
  const failing = await stage.environment.client.workflow.start("carryOrders", {
    taskQueue,
    workflowId: "failing",
    args: [{ orders: [{ orderId: "Person Nobody0", saga: { stage: "none" } }] }],
  });
  const isFailing = async () =>
    (await failing.fetchHistory()).events?.some((event) => event.workflowTaskFailedEventAttributes);
  await until(isFailing, "a workflow fails", patient);
  await failing.terminate();
  await stage.ends(orders.filter((order) => order !== first));
  using raw = new RawHistories(stage.environment.address);
  const ids = ["failing", ...stage.starter.started.map(({ episodeId }) => episodeId)];
  const histories = await Promise.all(ids.map((id) => raw.of(id)));
  return { texts: all.flatMap(({ texts }) => texts), histories: Buffer.concat(histories) };
}

/** Has an order cancelled while its episode runs, by a caller who writes what he likes into his request. */
function cancelling({ starter, rows }: Stage, orderId: string): Rule {
  let asked = false;
  return (call) => {
    if (call.step !== "authorize" || call.orderId !== orderId) return undefined;
    if (call.repetition === 0) return { kind: "lost" };
    const request = { reason: "nobody3@private.example", requestId };
    if (!asked) void starter.episodes.cancel(rows.row(orderId).episodeId, orderId, request);
    asked = true;
    return undefined;
  };
}

describe("of a hundred persons, in every history of all their orders,", () => {
  test("nothing can be read: no name, no address, no card token, no e-mail, in no failure either", async () => {
    const stage = await Stage.open();
    try {
      const { texts, histories } = await everything(stage);
      assert.equal(texts.length, 4 * persons);
      assert.deepEqual(
        texts.filter((text) => histories.includes(text)),
        [],
      );
      assert.ok(!histories.includes(requestId) && histories.includes("cancelOrder"));
      assert.ok(histories.includes("binary/encrypted") && histories.includes("Encoded failure"));
      // Neither what a failure says nor where in the code it was thrown.
      assert.ok(!histories.includes("services/worker/src/"));
    } finally {
      await stage.close();
    }
  });

  test("everything would be found if it were there: without keys it is", async () => {
    const converter = converterWith(new Secret(testKeys, keysText), "plain");
    const stage = await Stage.open({}, { dataConverter: converter }, { converter });
    try {
      const { texts, histories } = await everything(stage);
      const [, ...others] = texts;
      assert.deepEqual(
        others.filter((text) => !histories.includes(text)),
        [],
      );
    } finally {
      await stage.close();
    }
  });
});

describe("Temporal's own command", () => {
  const token = "t".repeat(32);
  let stage: Stage;
  let server: Server;
  before(async () => {
    stage = await Stage.open();
    const [codec] = dataConverter.payloadCodecs ?? [];
    assert.ok(codec);
    const tokens = new CodecTokens(new Secret(`reader ${token}`, tokensText));
    const logger = quietLogger();
    server = createServer(
      codecPages({ codec, tokens, namespace: "default", origins: [], maxBytes: 4_000_000, logger }),
    );
    await listenOn(server, "127.0.0.1", 0);
  });
  after(async () => {
    server?.close();
    await stage?.close();
  });

  test("shows them to whose token is known, and ciphertext to everybody else", async () => {
    const { order, texts } = orderOf(0);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const { episodeId = "" } = stage.starter.started[0] ?? {};
    const { port } = server.address() as AddressInfo;
    const show = async (...more: string[]) => {
      const wanted = ["workflow", "show", "--workflow-id", episodeId, "--output", "json"];
      const args = [...wanted, "--address", stage.environment.address, ...more];
      return (await promisify(execFile)(await tool("temporal"), args, { timeout: 20_000 })).stdout;
    };
    const payloads = (said: string) =>
      [...said.matchAll(/"data": "([^"]+)"/g)].map(([, data]) => Buffer.from(data ?? "", "base64").toString()).join();
    const shown = payloads(
      await show("--codec-endpoint", `http://127.0.0.1:${port}/codec`, "--codec-auth", `Bearer ${token}`),
    );
    assert.deepEqual(
      texts.filter((text) => !shown.includes(text)),
      [],
    );
    const hidden = payloads(await show());
    assert.deepEqual(
      texts.filter((text) => hidden.includes(text)),
      [],
    );
  });
});

describe("a worker's keys", () => {
  const key = (id: string) => `${id} ${Buffer.alloc(32, id).toString("base64")}\n`;
  let folder: string;
  let file: string;
  let stage: Stage;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "ordermesh-keys-"));
    file = join(folder, "keys");
  });
  after(async () => {
    await stage?.close();
    await rm(folder, { recursive: true });
  });

  test("are rotated under its orders, and a missing one keeps them waiting until it is back", async () => {
    await writeFile(file, key("spring"));
    const keys = new Secret(key("spring"), keysText);
    keys.follow({ name: "TEMPORAL_CODEC_KEYS", file });
    const other = new Secret(key("spring"), keysText);
    const converter = converterWith(other);
    stage = await Stage.open({ eagerStart: false }, { dataConverter: converterWith(keys) }, { converter });

    // An order that is under way while the keys change: read with the old one, carried on with the new one.
    const waiting = anOrder();
    stage.place([waiting], [on("authorize", { kind: "unavailable" }, { orderId: waiting.orderId, times: 6 })]);
    await until(() => stage.starter.started.length > 0, "it has begun", patient);
    await writeFile(file, key("spring") + key("summer"));
    assert.ok(keys.look());
    assert.deepEqual(await stage.ends([waiting]), ["DELIVERED"]);
    using raw = new RawHistories(stage.environment.address);
    const { episodeId = "" } = stage.starter.started.at(-1) ?? {};
    // What the last task has done is in the history when the task is over, a moment after the order is delivered.
    await until(async () => (await raw.of(episodeId)).includes("summer"), "the new key is in the history", patient);

    // Somebody encrypts with a key that the worker has not.
    await writeFile(file, key("summer"));
    assert.ok(keys.look());
    const stuck = anOrder();
    stage.place([stuck]);
    const begun = () => stage.starter.started.find(({ orderIds }) => orderIds.includes(stuck.orderId))?.episodeId;
    const id = await until(begun, "it has begun", patient);
    const { workflow } = stage.environment.client;
    const failure = async () => {
      const { events } = await workflow.getHandle(id).fetchHistory();
      return events?.find((event) => event.workflowTaskFailedEventAttributes);
    };
    const { workflowTaskFailedEventAttributes: failed } = await until(failure, "a task has failed", patient);
    const [said] =
      (await converterWith(keys).payloadCodecs?.[0]?.decode([failed?.failure?.encodedAttributes ?? {}])) ?? [];
    assert.match(
      Buffer.from(said?.data ?? []).toString(),
      /encrypted with the key \\"spring\\", which TEMPORAL_CODEC_KEYS has not/,
    );
    assert.equal((await workflow.getHandle(id).describe()).status.name, "RUNNING");
    await writeFile(file, key("spring") + key("summer"));
    assert.deepEqual(await stage.ends([stuck]), ["DELIVERED"]);
  });
});
