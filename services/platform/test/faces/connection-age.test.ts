// Connections that end by age: clients come again, and lose nothing by it.
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";
import { launch } from "#platform/process/runtime.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "./conformance.ts";

/** A way to a port that counts the connections made through it. */
async function countingDoor(port: number) {
  let count = 0;
  const door = createServer((socket) => {
    count += 1;
    const inside = connect(port, "127.0.0.1");
    for (const end of [socket, inside]) end.on("error", () => undefined);
    socket.pipe(inside).pipe(socket);
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  return { port: (door.address() as AddressInfo).port, count: () => count, close: () => door.close() };
}

/** Calls at the same time, again and again, until enough connections were made. */
const callers = 8;
const wantedConnections = 4;
const deadlineMs = 10_000;

test("a client connects again when its connection is old, and none of its calls fails", async () => {
  const definition = conformanceDefinition(new Conformance());
  const service = await launch(definition, { ...testEnvironment, MAX_CONNECTION_AGE_MS: "100" });
  const door = await countingDoor(service.grpcPort);
  const channel = openChannel(`127.0.0.1:${door.port}`, 1024 * 1024);
  const client = createClient(ConformanceService, new GrpcTransport(channel, { defaultTimeoutMs: 5_000 }));
  const end = Date.now() + deadlineMs;
  const call = async () => {
    while (door.count() < wantedConnections && Date.now() < end) {
      assert.equal((await client.echo({ text: "still there" })).text, "still there");
    }
  };
  try {
    await Promise.all(Array.from({ length: callers }, call));
    assert.ok(door.count() >= wantedConnections, `${door.count()} connections`);
  } finally {
    channel.close();
    door.close();
    await service.drain();
  }
});
