import assert from "node:assert/strict";
import { test } from "node:test";
import { callsBetween, callsIn } from "../mesh/call-counts.ts";
import { identityOf, namesOf } from "../mesh/certificates.ts";
import { versionsIn } from "../mesh/sagas.ts";

test("calls are counted that callers made, whatever became of them", () => {
  const count = (rpc: string, code: string, calls: number) =>
    `rpc_server_duration_seconds_count{rpc="shop.orders.v1.${rpc}",code="${code}"} ${calls}`;
  const metrics = [
    "# TYPE rpc_server_duration_seconds histogram",
    'rpc_server_duration_seconds_bucket{le="1",rpc="shop.orders.v1.OrderService/GetOrder",code="OK"} 90',
    count("OrderService/CreateOrder", "OK", 12),
    count("OrderService/CreateOrder", "Unavailable", 1),
    count("OrderService/GetOrder", "OK", 30),
    count("OrderLifecycleService/AdvanceOrders", "OK", 500),
  ];
  assert.equal(callsIn(metrics.join("\n")), 43);
  assert.equal(callsIn(""), 0);
});

test("calls between two looks are of pods that were there at both", () => {
  const before = new Map([
    ["a", { track: "blue", calls: 10 }],
    ["b", { track: "blue", calls: 20 }],
    ["gone", { track: "blue", calls: 30 }],
    ["c", { track: "green", calls: 0 }],
  ]);
  const after = new Map([
    ["a", { track: "blue", calls: 11 }],
    ["b", { track: "blue", calls: 22 }],
    ["c", { track: "green", calls: 0 }],
    ["new", { track: "green", calls: 7 }],
  ]);
  assert.deepEqual(callsBetween(before, after), { blue: 3, green: 0 });
});

test("a history tells which versions carried it, and when none did", () => {
  const by = (buildId?: string) => ({
    workflowTaskCompletedEventAttributes: buildId ? { deploymentVersion: { buildId } } : {},
  });
  assert.deepEqual(versionsIn({ events: [{}, by("1.0.0"), {}, by("1.0.0")] }), ["1.0.0"]);
  assert.deepEqual(versionsIn({ events: [by("1.0.0"), by("1.1.0")] }), ["1.0.0", "1.1.0"]);
  assert.deepEqual(versionsIn({ events: [by()] }), [""]);
});

test("a certificate is for every address of its service", () => {
  const names = namesOf("orders");
  for (const end of ["", "-headless", "-preview"]) assert.ok(names.includes(`mesh-orders${end}.ordermesh.svc`));
  assert.ok(names.includes("mesh-orders-headless"));
  assert.equal(identityOf("orders"), "spiffe://cluster.local/ns/ordermesh/sa/mesh-orders");
});
