// What waits for something learns that the process stops, and is answered.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { launch } from "#platform/process/runtime.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "./conformance.ts";

test("a call that waits for something is answered well before the drain gives it up", async () => {
  const implementation = new Conformance();
  const definition = conformanceDefinition(implementation);
  const service = await launch(
    {
      ...definition,
      build: (context) => {
        context.closing.addEventListener("abort", () => implementation.release("a"));
        return definition.build(context);
      },
    },
    { ...testEnvironment, DRAIN_TIMEOUT_MS: "2000" },
  );
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${service.grpcPort}` });
  const client = createClient(ConformanceService, transport);
  const answer = client.echo({ text: "as it stands", hold: "a", stubborn: true });
  await implementation.held("a");
  const begin = performance.now();
  await service.drain();
  assert.equal((await answer).text, "as it stands");
  assert.ok(performance.now() - begin < 1_900);
});
