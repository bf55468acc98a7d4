// Requests whose entries are judged each for itself: what is wrong with one is its own refusal, named as the caller spells it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type UnaryRequest, type UnaryResponse } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { BulkCreateOrdersRequestSchema, OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { requestContext } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";

const intercept = validationInterceptor([OrderService]);

function entry(changes: object = {}) {
  return {
    requestId: "r",
    customerId: newId(),
    lines: [{ sku: "tea", quantity: 1, unitPrice: { currency: "EUR", amount: 1n } }],
    shippingAddress: { recipient: "Ada", lines: ["Street 1"], city: "Berlin", postalCode: "10115", country: "DE" },
    cardToken: "tok_x",
    ...changes,
  };
}

/** The fields of the entries that are refused, by index, when the call goes through. */
async function refused(
  init: MessageInitShape<typeof BulkCreateOrdersRequestSchema>,
  contentType = "application/proto",
): Promise<Record<number, string[]>> {
  const found: Record<number, string[]> = {};
  const run = intercept(async () => {
    for (const [index, error] of requestContext().refusedEntries ?? []) {
      const told = ConnectError.from(error);
      assert.equal(told.code, Code.InvalidArgument);
      found[index] = told
        .findDetails(BadRequestSchema)
        .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
    }
    return {} as UnaryResponse;
  });
  const header = new Headers({ "content-type": contentType });
  const message = create(BulkCreateOrdersRequestSchema, init);
  const method = OrderService.method.bulkCreateOrders;
  await run({ stream: false, method, message, requestMethod: "POST", header } as unknown as UnaryRequest);
  return found;
}

describe("entries that are judged for themselves", () => {
  const bad = [
    entry(),
    entry({ cardToken: "4111111111111111" }),
    entry({ shippingAddress: { ...entry().shippingAddress, city: "4111 1111 1111 1111" } }),
    entry({ requestId: "a\u0000" }),
    entry({ lines: [] }),
  ];

  test("are refused alone, by the rules, for card numbers and for what cannot be stored", async () => {
    assert.deepEqual(await refused({ requests: bad }), {
      1: ["requests[1].card_token"],
      2: ["requests[2].shipping_address.city"],
      3: ["requests[3].request_id"],
      4: ["requests[4].lines"],
    });
  });

  test("are named as JSON names them for callers that send it", async () => {
    const found = await refused({ requests: bad.slice(0, 3) }, "application/json");
    assert.deepEqual(found, { 1: ["requests[1].cardToken"], 2: ["requests[2].shippingAddress.city"] });
  });

  test("leave other calls their turn while there are many", async () => {
    let turns = 0;
    let done = false;
    const count = () => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const lines = Array.from({ length: 100 }, () => entry().lines[0]).flatMap((line) => line ?? []);
    const found = await refused({ requests: Array.from({ length: 1_000 }, () => entry({ lines })) });
    done = true;
    assert.deepEqual(found, {});
    assert.ok(turns > 5, `${turns} turns`);
  });

  test("are the call's error when they are too many, or none", async () => {
    for (const count of [0, 1_001]) {
      const call = refused({ requests: Array.from({ length: count }, () => entry()) });
      await assert.rejects(call, (error) => ConnectError.from(error).code === Code.InvalidArgument);
    }
  });
});
