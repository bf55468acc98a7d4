// What the contract may say of who may call, and what a service that serves it does when it says something else.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { accessFaults } from "#platform/authorization/access-rule.ts";
import { launch } from "#platform/process/runtime.ts";
import { testEnvironment } from "../faces/conformance.ts";
import { contractOf, type Said } from "./contract-of.ts";

const noOption =
  "shop.orders.v1.OrderService.GetOrder does not say who may call it: give it the option (shop.type.v1.access)";

describe("what the contract says of who may call", () => {
  const cases: readonly (readonly [string, Said, RegExp])[] = [
    ["nothing", undefined, /does not say who may call it/],
    ["an option without a caller", {}, /names nobody/],
    ["everybody, and an agent", { anyone: true, roles: [Role.AGENT] }, /lets everybody call it, and names some/],
    ["the role that is none", { roles: [Role.AGENT, Role.UNSPECIFIED] }, /a role that there is not/],
    ["a role of another version", { roles: [99 as Role] }, /a role that there is not/],
    ["an owner who is not told", { own: {} }, /does not say what is somebody's own/],
    ["rows that are not one's own", { own: { of: { case: "rows", value: false } } }, /does not say what is/],
    [
      "a field that the request lacks",
      { own: { of: { case: "field", value: "customer_id" } } },
      /no text "customer_id"/,
    ],
    [
      "customers, and whoever has logged in",
      { own: { of: { case: "rows", value: true } }, person: { of: { case: "rows", value: true } } },
      /say one of both/,
    ],
    [
      "everybody, and who has logged in",
      { anyone: true, person: { of: { case: "rows", value: true } } },
      /and names some/,
    ],
    ["people, and no role", { people: true }, /is for people alone: name their roles/],
    ["people, and a service", { people: true, roles: [Role.FINANCE], services: ["worker"] }, /is for people alone/],
    ["people, and owners", { people: true, roles: [Role.FINANCE], own: {} }, /is for people alone/],
    ["everybody, and people", { people: true, anyone: true }, /lets everybody call it, and names some/],
    ["a service that there is not", { services: ["worker", "workers"] }, /names "workers", which is no service/],
  ];
  for (const [what, said, expected] of cases) {
    test(`${what} is refused`, () => {
      const [fault, ...more] = accessFaults([contractOf({ GetOrder: said })], ["worker"]);
      assert.match(fault ?? "", expected);
      assert.deepEqual(more, []);
    });
  }

  const right: readonly (readonly [string, Said])[] = [
    ["everybody", { anyone: true }],
    ["a role", { roles: [Role.AUDITOR] }],
    ["people of a role", { people: true, roles: [Role.FINANCE] }],
    ["a service", { services: ["worker"] }],
    ["customers, by a field", { own: { of: { case: "field", value: "order_id" } } }],
    ["customers, by their rows", { own: { of: { case: "rows", value: true } } }],
    ["whoever has logged in", { person: { of: { case: "rows", value: true } } }],
  ];
  for (const [what, said] of right) {
    test(`${what} is taken`, () => assert.deepEqual(accessFaults([contractOf({ GetOrder: said })], ["worker"]), []));
  }
});

test("a service whose contract says nothing of a method does not start, and says of which", async () => {
  const service = contractOf({ GetOrder: undefined });
  const build = () => ({ services: [{ service, route: () => undefined, find: () => undefined }] });
  const start = launch({ name: "open", config: {}, build }, testEnvironment);
  start.then((running) => running.drain()).catch(() => undefined);
  await assert.rejects(start, { name: "StartError", message: noOption });
});

test("the one that it was made of is without a fault", () => assert.deepEqual(accessFaults([OrderService]), []));
