import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DatabaseService, readServices, type Service, services } from "../../../services/services.ts";
import { allPorts, portsAt } from "../../stack/layout.ts";

const orders = { grpc: 50051, http: 8081, packages: ["shop.orders.v1"] };
const payments = { grpc: 50052, http: 8082, packages: ["shop.payments.v1"] };

const mistakes: readonly (readonly [string, object, RegExp])[] = [
  [
    "a gRPC port twice",
    { orders, payments: { ...payments, grpc: 50051 } },
    /port 50051 is the grpc port of orders .*\n.*payments\.grpc/,
  ],
  [
    "a port for two faces",
    { orders: { ...orders, http: 50051 } },
    /port 50051 is the grpc port of orders .*\n.*orders\.http/,
  ],
  ["a name that is no role and no host", { "Orders!": orders }, /a name is small letters alone/],
  ["a port that is none", { orders: { ...orders, grpc: 80 } }, /orders\.grpc/],
  ["a key that nobody reads", { orders: { ...orders, datbase: true } }, /"datbase"/],
  ["a fact that is left out when it is not so", { orders: { ...orders, database: false } }, /orders\.database/],
  ["a service without a contract", { orders: { ...orders, packages: [] } }, /orders\.packages/],
];

describe("services.json", () => {
  for (const [what, said, sentence] of mistakes) {
    it(`refuses ${what}`, () => assert.throws(() => readServices(said), sentence));
  }

  it("names every mistake at once", () => {
    const said = { orders, payments: { ...payments, grpc: 50051, http: 8081 } };
    assert.throws(() => readServices(said), /port 50051 .*\n.*\n.*port 8081 /);
  });

  it("gives names that the compiler knows", () => {
    // @ts-expect-error: no such service
    const wrong: Service = "oders";
    // @ts-expect-error: it has no database
    const without: DatabaseService = "worker";
    assert.deepEqual([services.includes(wrong), services.includes(without)], [false, true]);
  });

  it("leaves every port of a stack to one component", () => {
    const ports = allPorts(portsAt(0)).map(({ port }) => port);
    assert.deepEqual(ports.length, new Set(ports).size);
  });
});
