// The classes that the contract gives to calls, and that its comments say the same.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { admissionClassOf } from "#platform/interceptors/admission-class.ts";

const root = join(import.meta.dirname, "../../../..");
const gen = join(root, "services/platform/src/gen");

async function services(): Promise<DescService[]> {
  const modules = globSync("shop/*/v1/*_service_pb.js", { cwd: gen }).map((path) => import(join(gen, path)));
  const values: unknown[] = (await Promise.all(modules)).flatMap(Object.values);
  return values.filter((value): value is DescService => (value as Partial<DescService>).kind === "service");
}

describe("classes of admission", () => {
  test("batches, which only the saga sends, are of the saga", async () => {
    const methods = (await services()).flatMap((service) => service.methods);
    const batches = methods.filter(({ name }) => name.startsWith("Batch"));
    assert.ok(batches.length >= 14);
    for (const method of batches) assert.equal(admissionClassOf(method), "saga", method.name);
  });

  test("services that are said to be for the saga or for services only are of the saga", async () => {
    let found = 0;
    for (const service of await services()) {
      const text = readFileSync(join(root, "proto", `${service.file.name}.proto`), "utf8");
      const comment = text.slice(0, text.indexOf(`\nservice ${service.name} `)).match(/(?:\n\/\/[^\n]*)+$/)?.[0] ?? "";
      if (!/for the (saga|services) only/i.test(comment.replaceAll(/\n\/\/ /g, " "))) continue;
      found += 1;
      for (const method of service.methods) assert.equal(admissionClassOf(method), "saga", method.name);
    }
    assert.ok(found >= 3);
  });

  const others = [
    ["SagaService", "StartOrderSaga", "saga"],
    ["SagaService", "CancelOrderSaga", "caller"],
    ["SagaService", "ListParkedSteps", "operator"],
    ["SagaService", "RetryParkedStep", "operator"],
    ["SagaService", "ResolveParkedStep", "operator"],
    ["SagaService", "RetryParkedSteps", "operator"],
    ["SagaService", "ResolveParkedSteps", "operator"],
    ["AuditService", "ListAuditEvents", "operator"],
    ["OrderService", "CreateOrder", "caller"],
    ["OrderService", "BulkCreateOrders", "caller"],
    ["OrderService", "CancelOrder", "caller"],
    ["OrderService", "AmendOrder", "caller"],
    ["OrderService", "WatchOrder", "caller"],
    ["InventoryService", "ReserveStock", "caller"],
    ["PaymentService", "AuthorizePayment", "caller"],
  ] as const;
  for (const [serviceName, name, expected] of others) {
    test(`${serviceName}.${name} is of ${expected}s`, async () => {
      const service = (await services()).find((one) => one.name === serviceName);
      const method = service?.methods.find((one) => one.name === name);
      assert.ok(method);
      assert.equal(admissionClassOf(method), expected);
    });
  }
});
