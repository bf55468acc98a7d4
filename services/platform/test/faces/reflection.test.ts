// Reflection and health by the protocols that grpcurl and Kubernetes speak.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { service as healthService } from "grpc-health-check";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/process/service.ts";
import { Conformance, testEnvironment } from "./conformance.ts";

interface ReflectionResponse {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
  errorResponse?: { errorCode: number };
}

/** The definitions of the reflection services, as the package itself registers them. */
function reflectionDefinitions(): Readonly<Record<string, grpc.ServiceDefinition | undefined>> {
  const found: grpc.ServiceDefinition[] = [];
  new ReflectionService({}).addToServer({ addService: (definition) => found.push(definition) });
  const [v1, v1alpha] = found;
  return { v1, v1alpha };
}

/** Asks one question of the reflection service of the given version. */
async function reflect(address: string, version: string, question: object): Promise<ReflectionResponse> {
  const service = reflectionDefinitions()[version];
  assert.ok(service);
  const Client = grpc.makeGenericClientConstructor(service, "ServerReflection");
  const client = new Client(address, grpc.credentials.createInsecure());
  const call = client.ServerReflectionInfo?.();
  const answer = new Promise<ReflectionResponse>((resolve, reject) => call.on("data", resolve).on("error", reject));
  call.write(question);
  try {
    return await answer;
  } finally {
    call.end();
    client.close();
  }
}

describe("reflection and health", () => {
  let service: RunningService;
  let broken = false;
  const address = () => `127.0.0.1:${service.grpcPort}`;

  before(async () => {
    const ready = async (): Promise<void> => {
      if (broken) throw new Error("the other side is away");
    };
    service = await launch(
      {
        name: "reflected",
        config: {},
        build: () => ({ services: [register(ConformanceService, new Conformance())], ready }),
      },
      { ...testEnvironment, READINESS_INTERVAL_MS: "20" },
    );
  });
  after(() => service.drain());

  for (const version of ["v1", "v1alpha"]) {
    test(`${version} lists the services`, async () => {
      const { listServicesResponse } = await reflect(address(), version, { listServices: "*" });
      assert.deepEqual(listServicesResponse?.service.map(({ name }) => name).toSorted(), [
        "grpc.health.v1.Health",
        ConformanceService.typeName,
      ]);
    });

    test(`${version} describes a service with all that it needs`, async () => {
      const question = { fileContainingSymbol: ConformanceService.typeName };
      const { fileDescriptorResponse } = await reflect(address(), version, question);
      const bytes = fileDescriptorResponse?.fileDescriptorProto[0];
      assert.ok(bytes);
      const file = fromBinary(FileDescriptorProtoSchema, Uint8Array.from(bytes));
      assert.equal(file.name, "ordermesh/testing/v1/conformance_service.proto");
      for (const dependency of file.dependency) {
        const answer = await reflect(address(), version, { fileByFilename: dependency });
        assert.ok(answer.fileDescriptorResponse, `${dependency} is unknown`);
      }
    });

    test(`${version} describes the health service`, async () => {
      const answer = await reflect(address(), version, { fileContainingSymbol: "grpc.health.v1.Health" });
      assert.ok(answer.fileDescriptorResponse);
    });

    test(`${version} describes the details of errors, which no service imports`, async () => {
      const answer = await reflect(address(), version, { fileContainingSymbol: "google.rpc.BadRequest" });
      assert.ok(answer.fileDescriptorResponse);
    });
  }

  test("health follows readiness", async () => {
    const Client = grpc.makeGenericClientConstructor(healthService, "Health");
    const client = new Client(address(), grpc.credentials.createInsecure());
    const statuses: string[] = [];
    const waiting: (() => void)[] = [];
    const watch = client.watch?.({ service: ConformanceService.typeName });
    watch.on("data", ({ status }: { status: string }) => {
      statuses.push(status);
      waiting.shift()?.();
    });
    watch.on("error", () => undefined);
    const next = () => new Promise<void>((resolve) => waiting.push(resolve));
    await next();
    const away = next();
    broken = true;
    await away;
    const ready = await fetch(`http://127.0.0.1:${service.httpPort}/readyz`);
    assert.equal(ready.status, 503);
    assert.equal(await ready.text(), "the other side is away\n");
    const alive = await new Promise<unknown>((resolve) =>
      client.check?.({ service: "liveness" }, (_: unknown, answer: unknown) => resolve(answer)),
    );
    assert.deepEqual(alive, { status: "SERVING" });
    const back = next();
    broken = false;
    await back;
    assert.deepEqual(statuses, ["SERVING", "NOT_SERVING", "SERVING"]);
    watch.cancel();
    client.close();
  });
});

describe("what grpcurl says of the contract", () => {
  let service: RunningService;
  before(async () => {
    const build = () => ({ services: [register(InventoryService, {})], ready: async () => undefined });
    service = await launch({ name: "described", config: {}, build }, testEnvironment);
  });
  after(() => service.drain());

  /** What grpcurl prints, on one line. */
  async function describes(symbol: string): Promise<string> {
    const address = `127.0.0.1:${service.grpcPort}`;
    const { stdout } = await promisify(execFile)("grpcurl", ["-plaintext", address, "describe", symbol]);
    return stdout.replaceAll(/\s+/g, " ");
  }

  test("a request, with the rules of its fields", async () => {
    const text = await describes("shop.inventory.v1.ReserveStockRequest");
    const rules = { "string request_id = 1": "shop.type.v1.request_id", "string order_id = 2": "shop.type.v1.id" };
    for (const [field, rule] of Object.entries(rules)) {
      assert.ok(text.includes(`${field} [ (.buf.validate.field) = { string: { [.${rule}]: true } } ];`), text);
    }
  });

  test("a call, with who may make it", async () => {
    const text = await describes("shop.inventory.v1.InventoryService.AdjustStock");
    assert.ok(text.includes("option (.shop.type.v1.access) = { roles: [ ROLE_WAREHOUSE ] };"), text);
  });

  test("a rule, with what it says when it is broken", async () => {
    const text = await describes("shop.type.v1.id");
    assert.ok(text.includes(`message: "must be an id: 26 characters of Crockford's base32 in capitals"`), text);
  });
});
