import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { SagaService, StartEpisodeRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { FailureSchema } from "#gen/shop/type/v1/failure_pb.js";
import { newId } from "#platform/id.ts";
import { eachText } from "#platform/interceptors/message-values.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";

describe("the texts of a message", () => {
  it("are found in lists, in one of several fields, and in maps", () => {
    const found: string[] = [];
    const order = {
      orderId: "order",
      events: [{ event: { case: "cancellation", value: { reason: "because" } } as const }],
      checkout: { shippingAddress: { lines: ["one", "two"] } },
    };
    const request = create(StartEpisodeRequestSchema, { episodeId: "episode", orders: [order] });
    eachText(StartEpisodeRequestSchema, request, (text) => found.push(text));
    assert.deepEqual(found.sort(), ["because", "episode", "one", "order", "two"]);
    const failure = create(FailureSchema, { metadata: { key: "value" } });
    const inMap: string[] = [];
    eachText(FailureSchema, failure, (text) => inMap.push(text));
    assert.deepEqual(inMap, ["key", "value"]);
  });

  it("are refused when no database can store them, by the name of their field", async () => {
    const transport = createRouterTransport(({ service }) => void service(SagaService, {}), {
      router: { interceptors: [validationInterceptor([SagaService])] },
    });
    const { cancelOrderSaga } = createClient(SagaService, transport);
    const request = { requestId: "a\u0000", orderId: newId(), reason: "a\u0000b" };
    const error = await cancelOrderSaga(request).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.InvalidArgument);
    const [{ fieldViolations } = { fieldViolations: [] }] = error.findDetails(BadRequestSchema);
    assert.deepEqual(
      fieldViolations.map(({ field, reason }) => [field, reason]),
      [
        ["request_id", "unstorable_character"],
        ["reason", "unstorable_character"],
      ],
    );
  });
});
