// That each call of the contract says who may make it, and what must be true of all of them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DescMethod } from "@bufbuild/protobuf";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { accessOf } from "#platform/authorization/access-rule.ts";
import { admissionClassOf } from "#platform/interceptors/admission-class.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { contractFaults, contractServices } from "../contract.ts";

const services = await contractServices(root);
const methods = services.filter(({ typeName }) => typeName.startsWith("shop.")).flatMap((service) => service.methods);

/** Who may call, in short: "agent own(customer_id) worker". */
function callersOf(method: DescMethod): string {
  const { roles = [], own, person, services: inner = [], anyone } = accessOf(method) ?? {};
  const names = roles.map((role) => Role[role].toLowerCase());
  const owner = own ? [`own(${own.of.value})`] : [];
  const themselves = person ? [`person(${person.of.value})`] : [];
  return anyone ? "anyone" : [...names, ...owner, ...themselves, ...inner].join(" ");
}

test("the contract says of every call who may make it", async () => {
  assert.ok(methods.length >= 63);
  assert.deepEqual(await contractFaults(root), []);
});

describe("who may call", () => {
  test("batches are for services, and nobody else", () => {
    const batches = methods.filter(({ name }) => name.startsWith("Batch"));
    assert.ok(batches.length >= 14);
    for (const method of batches)
      assert.match(callersOf(method), /^(?:orders|inventory|shipping|worker)$/, method.name);
  });

  test("what is for services alone is admitted as the saga's, but for what they ask on behalf of callers", () => {
    const inner = methods.filter((method) => /^[a-z]+$/.test(callersOf(method)) && accessOf(method)?.services.length);
    const others = inner.filter((method) => admissionClassOf(method) !== "saga").map(({ name }) => name);
    assert.deepEqual(others, ["CancelOrderSaga", "TrackShipments"]);
  });

  test("no call is for people and for services at the same time, but to see an order", () => {
    for (const method of methods.filter(({ name }) => name !== "GetOrder")) {
      const { roles = [], own, person, services: inner = [] } = accessOf(method) ?? {};
      assert.ok(inner.length === 0 || (roles.length === 0 && !own && !person), method.name);
    }
  });

  test("customers come to their own orders and what they are told of them, and to nothing of the other services", () => {
    const own = methods.filter((method) => accessOf(method)?.own).map(({ name }) => name);
    const told = ["GetPreferences", "SetPreferences", "ListNotifications"];
    const customer = ["CreateCustomer", "GetCustomer", "UpdateCustomer", "ExportCustomer", "EraseCustomer"];
    const returns = ["RequestReturn", "GetReturn", "ListReturns", "CancelReturn"];
    const orders = [
      "CreateOrder",
      "GetOrder",
      "ListOrders",
      "CancelOrder",
      "AmendOrder",
      "CancelOrderLines",
      "WatchOrder",
    ];
    assert.deepEqual(own, [...told, ...customer, ...returns, ...orders]);
    for (const method of methods) assert.ok(!accessOf(method)?.roles.includes(Role.CUSTOMER), method.name);
  });

  test("auditors change nothing", () => {
    const theirs = methods.filter((method) => accessOf(method)?.roles.includes(Role.AUDITOR));
    assert.ok(theirs.length > 0);
    for (const { name } of theirs) assert.match(name, /^(?:Get|List|Find)/);
  });

  const others = [
    ["RefundPayment", "finance"],
    ["AdjustStock", "warehouse"],
    ["ReportTrackingEvent", "warehouse"],
    ["ResolveParkedSteps", "operator"],
    ["ListAuditEvents", "auditor"],
    ["BulkCreateOrders", "agent"],
  ] as const;
  for (const [name, expected] of others) {
    test(`${name} is for ${expected}`, () => {
      const method = methods.find((one) => one.name === name);
      assert.equal(method && callersOf(method), expected);
    });
  }
});
