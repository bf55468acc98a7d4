// Where there is IPv6 alone, or both: what listens there, and is called by its address.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";
import { listenOn } from "#platform/listen.ts";
import { startConformance } from "./conformance.ts";

/** Calls both ports at a host, as services and callers write it. */
async function callAt(host: string, { grpcPort, httpPort }: { grpcPort: number; httpPort: number }): Promise<void> {
  const channel = openChannel(`${host}:${grpcPort}`, 1e6);
  try {
    const client = createClient(ConformanceService, new GrpcTransport(channel, { defaultTimeoutMs: 5_000 }));
    assert.equal((await client.echo({ text: host })).text, host);
  } finally {
    channel.close();
  }
  const answer = await fetch(`http://${host}:${httpPort}/${ConformanceService.typeName}/Echo`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text: host }),
  });
  assert.equal(((await answer.json()) as { text: string }).text, host);
}

test("LISTEN_HOST=:: is called by an address of IPv6 in brackets, and of IPv4", async () => {
  const service = await startConformance({ LISTEN_HOST: "::" });
  try {
    for (const host of ["[::1]", "127.0.0.1"]) await callAt(host, service);
  } finally {
    await service.drain();
  }
});

test("LISTEN_HOST=::1 is called by IPv6 alone", async () => {
  const service = await startConformance({ LISTEN_HOST: "::1" });
  try {
    await callAt("[::1]", service);
    await assert.rejects(callAt("127.0.0.1", service));
  } finally {
    await service.drain();
  }
});

test("an address that cannot be listened on is said as it is written elsewhere", async () => {
  const other = createServer();
  const port = await listenOn(other, "::1", 0);
  try {
    await assert.rejects(startConformance({ LISTEN_HOST: "::1", HTTP_PORT: String(port) }), {
      name: "StartError",
      message: `cannot listen for HTTP on [::1]:${port}: another process already listens there`,
    });
  } finally {
    other.close();
  }
  await assert.rejects(startConformance({ LISTEN_HOST: "[::1]" }), {
    name: "ConfigError",
    message: /LISTEN_HOST: is written without brackets, for example ::$/,
  });
});
