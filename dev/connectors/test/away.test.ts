// Payments before a connector that is killed, that hangs, and that is slow: nothing is sent to who is away, nothing is lost, and nothing is done twice.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { GoGateway } from "../../../examples/gateway-go/src/go-gateway.ts";
import { ConnectorGateway } from "../../../services/payments/src/gateway/connector-gateway.ts";
import {
  GatewayAmbiguousError,
  type GatewayOperation,
  GatewayUnavailableError,
} from "../../../services/payments/src/gateway/gateway.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { sparePort } from "../../stack/layout.ts";

const timeoutMs = 400;
/** Pauses of the breaker are two seconds at most, and gRPC looks for who is back within three. */
const backWithinMs = 8_000;
const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 4_000_000 });
const { signal } = new AbortController();
let folder: string;
let outside: GoGateway;
let gateway: ConnectorGateway;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-away-"));
  outside = await GoGateway.start({ port: sparePort(await freePorts(), 0), journal: join(folder, "gateway.journal") });
  const connector = clients.client(GatewayConnectorService, outside.address);
  const { address } = outside;
  gateway = new ConnectorGateway({ connector, address, timeoutMs, inflight: 16, replicas: 1, log: quietLogger() });
});

after(async () => {
  await gateway?.stop();
  clients.close();
  await outside?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function authorization(): GatewayOperation {
  return {
    key: randomUUID(),
    kind: "authorize",
    orderId: newId(),
    cardToken: "tok_approve",
    reference: "",
    currency: "EUR",
    amount: 1_000n,
    final: false,
    before: undefined,
    createTime: new Date(),
  };
}

/** Sends until it is certain that nothing is sent; returns what may have been. */
async function untilHeldBack(): Promise<GatewayOperation[]> {
  const doubtful: GatewayOperation[] = [];
  await until(
    async () => {
      const operation = authorization();
      try {
        await gateway.execute(operation, { signal });
      } catch (error) {
        if (error instanceof GatewayUnavailableError && /was not called/.test(error.message)) return true;
        assert.ok(error instanceof GatewayAmbiguousError, String(error));
        doubtful.push(operation);
      }
      return false;
    },
    "nothing is sent",
    { deadlineMs: 20_000 },
  );
  return doubtful;
}

/** What became of operations, as payments would find out, once the connector is back. */
async function settle(operations: readonly GatewayOperation[]): Promise<string[]> {
  return await Promise.all(
    operations.map((operation) =>
      until(
        async () =>
          (await gateway.find(operation, { signal }))?.state ?? (await gateway.execute(operation, { signal })).state,
        "it is decided",
        { deadlineMs: backWithinMs, everyMs: 50 },
      ),
    ),
  );
}

/** How often each of them was done. */
async function doneOf(operations: readonly GatewayOperation[]): Promise<number[]> {
  const connector = clients.client(GatewayConnectorService, outside.address);
  const { operations: listed } = await connector.listOperations({});
  return operations.map(({ key }) => listed.filter((each) => each.key === key).length);
}

describe("a connector that is away", () => {
  it("because it was killed is not called, and is within seconds of its return", async () => {
    assert.equal((await gateway.execute(authorization(), { signal })).state, "approved");
    await outside.kill();
    const doubtful = await untilHeldBack();
    const begun = performance.now();
    const held = Array.from({ length: 50 }, authorization);
    const refused = await Promise.allSettled(held.map((operation) => gateway.execute(operation, { signal })));
    assert.ok(performance.now() - begun < 4 * timeoutMs, "nobody waits for who is away");
    const certain = refused.filter(
      (each) => each.status === "rejected" && each.reason instanceof GatewayUnavailableError,
    );
    // One lane may have been the one that tries.
    assert.ok(certain.length >= held.length / 2, `${certain.length} of ${held.length} are certain`);
    await outside.run();
    const all = [...doubtful, ...held];
    assert.deepEqual(new Set(await settle(all)), new Set(["approved"]));
    assert.deepEqual(new Set(await doneOf(all)), new Set([1]));
  });

  it("because it hangs costs nobody his time, and what it took before is found when it goes on", async () => {
    outside.signal("SIGSTOP");
    const doubtful = await untilHeldBack();
    assert.ok(doubtful.length >= 1);
    const begun = performance.now();
    await assert.rejects(gateway.execute(authorization(), { signal }), GatewayUnavailableError);
    assert.ok(performance.now() - begun < 2 * timeoutMs);
    outside.signal("SIGCONT");
    assert.deepEqual(new Set(await settle(doubtful)), new Set(["approved"]));
    assert.deepEqual(new Set(await doneOf(doubtful)), new Set([1]));
  });

  it("is not one that is slow, as long as it answers in time", async () => {
    let isOver = false;
    const stuttering = (async () => {
      while (!isOver) {
        outside.signal("SIGSTOP");
        await pause(timeoutMs / 4);
        outside.signal("SIGCONT");
        await pause(timeoutMs / 4);
      }
    })();
    const states: string[] = [];
    for (let sent = 0; sent < 20; sent += 1) states.push((await gateway.execute(authorization(), { signal })).state);
    isOver = true;
    await stuttering;
    assert.deepEqual(new Set(states), new Set(["approved"]));
  });
});
