// Settings from a file, and what becomes of a change while the process runs.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { ConfigError, loadConfig, platformConfig } from "#platform/config.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { until } from "#testing/until.ts";
import { Volume } from "#testing/volume.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "../faces/conformance.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-settings-"));
after(() => rmSync(folder, { recursive: true }));
const volume = new Volume(join(folder, "volume"), "settings.yaml");
const { file } = volume;

describe("settings from a file", () => {
  const env = { ...testEnvironment, CONFIG_FILE: file };
  const read = (more = {}) => loadConfig(platformConfig, { ...env, ...more });
  const refusal = (text: string) => {
    volume.write(text);
    let message = "";
    assert.throws(read, (error) => {
      assert.ok(error instanceof ConfigError);
      message = error.message.replaceAll(file, "FILE");
      return true;
    });
    return message.split("\n").slice(1);
  };

  test("are as a variable would say them, and a variable counts more", () => {
    volume.write(`
MAX_INFLIGHT: 40
OTEL_TRACES_SAMPLER_ARG: 0.25
LOG_LEVEL: debug
LISTEN_HOST:
HTTP_CORS_ORIGINS: [https://shop.example, "http://localhost:3000"]
SPIFFE_SERVICES:
  spiffe://mesh.example/worker: worker
`);
    const config = read({ MAX_WAITING: "7" });
    assert.deepEqual([config.MAX_INFLIGHT, config.OTEL_TRACES_SAMPLER_ARG, config.MAX_WAITING], [40, 0.25, 7]);
    // The environment of tests says so.
    assert.equal(config.LOG_LEVEL, testEnvironment.LOG_LEVEL);
    assert.equal(config.LISTEN_HOST, "127.0.0.1");
    assert.deepEqual(config.HTTP_CORS_ORIGINS, ["https://shop.example", "http://localhost:3000"]);
    assert.ok(config.SPIFFE_SERVICES);
  });

  test("are all judged at once, and by name", () => {
    assert.deepEqual(
      refusal("MAX_INFLIGHT: none\nMAX_INFLIHGT: 4\nPAGE_TOKEN_SECRET: in the open, and long enough it is\n"),
      [
        "  MAX_INFLIHGT in FILE: is no setting of this process",
        "  PAGE_TOKEN_SECRET in FILE: is secret: it belongs into a file of its own, which PAGE_TOKEN_SECRET_FILE names",
        "  MAX_INFLIGHT: must be a number",
      ],
    );
    assert.deepEqual(refusal("- MAX_INFLIGHT"), ["  CONFIG_FILE: the file FILE is no map of settings"]);
    assert.deepEqual(refusal("MAX_INFLIGHT: 1\nMAX_INFLIGHT: 2"), [
      "  CONFIG_FILE: the file FILE is no YAML: Map keys must be unique at line 2, column 1:",
    ]);
    assert.deepEqual(refusal("CONFIG_FILE: other.yaml"), ["  CONFIG_FILE in FILE: cannot name another one"]);
    const nowhere = { ...env, CONFIG_FILE: "/nowhere/settings.yaml" };
    assert.throws(
      () => loadConfig(platformConfig, nowhere),
      /the file \/nowhere\/settings.yaml cannot be read \(ENOENT\)/,
    );
  });
});

describe("a process whose file of settings changes", () => {
  const lines: string[] = [];
  let service: RunningService;
  before(async () => {
    volume.write("RATE_LIMIT_READ: 1000/1\n");
    const output = new PassThrough().on("data", (line) => lines.push(String(line)));
    const { LOG_LEVEL: _, ...environment } = testEnvironment;
    const env = { ...environment, CONFIG_FILE: file, SECRETS_REFRESH_MS: "50" };
    service = await launch(conformanceDefinition(new Conformance()), env, output);
  });
  after(() => service.drain());

  const said = (text: string) => until(() => lines.some((line) => line.includes(text)), text);
  const call = async () => {
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${service.grpcPort}` });
    const error = await createClient(ConformanceService, transport).echo({ text: "x" }).catch(ConnectError.from);
    return error instanceof ConnectError ? error.code : undefined;
  };

  test("does by the new ones what it can, and says which of them it cannot", async () => {
    assert.equal(await call(), undefined);
    volume.write("RATE_LIMIT_READ: 1/60\nRATE_LIMIT_WRITE: 1/60\nLOG_LEVEL: warn\nMAX_MESSAGE_BYTES: 4096\n");
    await said("MAX_MESSAGE_BYTES is another one in the file of settings: it counts from the next start");
    await said("RATE_LIMIT_WRITE was read anew from the file of settings");
    assert.deepEqual([await call(), await call()], [undefined, Code.ResourceExhausted]);
    assert.equal(service.logger.level, "warn");
  });

  test("goes on with those before when the new ones are of no use, and says so once", async () => {
    volume.write("RATE_LIMIT_READ: often\nLOG_LEVEL: error\n");
    await said("RATE_LIMIT_READ: must be calls/seconds");
    assert.equal(service.logger.level, "warn");
    volume.write("RATE_LIMIT_WRITE: off\n");
    await until(() => service.logger.level === "info", "the default is back");
    assert.deepEqual([await call(), await call()], [undefined, undefined]);
    const refused = lines.filter((line) => line.includes("the settings stay as they were"));
    assert.equal(refused.length, 1);
  });
});
