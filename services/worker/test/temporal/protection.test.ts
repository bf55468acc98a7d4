// The worker's way to a Temporal that takes TLS only, shows a certificate of an authority of its own and wants one as well.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createSecureServer, type Http2SecureServer, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, connect as connectTcp, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createServer, rootCertificates } from "node:tls";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { ConfigError, loadConfig } from "#platform/config.ts";
import { StartError } from "#platform/process/startup.ts";
import { Authority } from "#testing/certificates.ts";
import { workerConfig } from "../../src/config.ts";
import { connect } from "../../src/temporal/connection.ts";
import { localEnvironment } from "../stage/harness.ts";

let environment: TestWorkflowEnvironment;
let authority: Authority;
let front: Server;
const heard: IncomingHttpHeaders[] = [];
let keyed: Http2SecureServer;

/** What a process of the authority listens with. */
function identity(name: string) {
  const read = (file: string) => readFileSync(join(authority.folder, file));
  return { key: read(`${name}.key`), cert: read(`${name}.crt`), ca: read("ca.crt") };
}

function portOf(server: Server | Http2SecureServer): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** A front of the real server that takes TLS only, from whom it knows. */
function frontOf(address: string): Server {
  const [host = "", port] = address.split(":");
  const options = { ...identity("temporal"), requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["h2"] };
  return createServer(options, (caller) => {
    const temporal = connectTcp(Number(port), host);
    for (const [one, other] of [
      [caller, temporal],
      [temporal, caller],
    ] as const) {
      one.on("error", () => other.destroy());
      one.pipe(other);
    }
  });
}

before(async () => {
  [environment, authority] = await Promise.all([localEnvironment(), Authority.create()]);
  await authority.issue("temporal");
  await authority.issue("worker");
  front = frontOf(environment.address);
  keyed = createSecureServer(identity("temporal"));
  keyed.on("stream", (stream, headers) => {
    heard.push(headers);
    // Any answer will do: "unimplemented".
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "12" }, { endStream: true });
  });
});
after(async () => {
  front.close();
  keyed.close();
  await environment.teardown();
  await authority[Symbol.asyncDispose]();
});

function configOf(port: number, settings: Record<string, string>) {
  const address = { TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_TIMEOUT_MS: "600" };
  return loadConfig(workerConfig, { ...address, PAGE_TOKEN_SECRET: "s".repeat(32), ...settings });
}

describe("a connection to Temporal", () => {
  test("is made with certificates on both sides, and to nobody else", async () => {
    const port = await portOf(front);
    const path = (file: string) => join(authority.folder, file);
    const whole = {
      TEMPORAL_TLS: "true",
      TEMPORAL_TLS_CA: path("ca.crt"),
      TEMPORAL_TLS_CERT: path("worker.crt"),
      TEMPORAL_TLS_KEY: path("worker.key"),
      TEMPORAL_TLS_SERVER_NAME: "temporal",
    };
    // Ours as the last of many: so many are trusted when no file is named.
    const many = path("many.crt");
    writeFileSync(many, [...rootCertificates, readFileSync(path("ca.crt"), "utf8")].join("\n"));
    for (const file of [path("ca.crt"), many]) {
      const settings = { ...whole, TEMPORAL_TLS_CA: file, TEMPORAL_TIMEOUT_MS: "10000" };
      const connection = await connect(configOf(port, settings));
      const { clusterName } = await connection.workflowService.getClusterInfo({});
      await connection.close();
      assert.equal(clusterName, "active");
    }

    const { TEMPORAL_TLS_CERT: _, TEMPORAL_TLS_KEY: __, ...unknown } = whole;
    const { TEMPORAL_TLS_CA: ___, ...untrusting } = whole;
    for (const settings of [unknown, untrusting, { ...whole, TEMPORAL_TLS_SERVER_NAME: "somebody" }, {}]) {
      await assert.rejects(connect(configOf(port, settings)), StartError);
    }
  });

  test("carries the API key", async () => {
    const port = await portOf(keyed);
    const settings = {
      TEMPORAL_TLS: "true",
      TEMPORAL_TLS_CA: join(authority.folder, "ca.crt"),
      TEMPORAL_API_KEY: "key-1",
    };
    const config = configOf(port, { ...settings, TEMPORAL_TLS_SERVER_NAME: "temporal" });
    await assert.rejects(connect(config), StartError);
    assert.equal(heard[0]?.authorization, "Bearer key-1");
  });

  test("is refused before it is made when its settings do not fit together", async () => {
    const wrong: [Record<string, string>, RegExp][] = [
      [{ TEMPORAL_API_KEY: "key-1" }, /TEMPORAL_API_KEY needs TLS: set TEMPORAL_TLS=true/],
      [{ TEMPORAL_TLS_CA: "ca.crt" }, /TEMPORAL_TLS_CA needs TLS/],
      [{ TEMPORAL_TLS: "true", TEMPORAL_TLS_CERT: "a.crt" }, /TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY are set together/],
      [
        { TEMPORAL_TLS: "true", TEMPORAL_TLS_CA: "/nowhere/ca.crt" },
        /\/nowhere\/ca\.crt cannot be read \(TEMPORAL_TLS_CA\)/,
      ],
    ];
    for (const [settings, message] of wrong) {
      await assert.rejects(connect(configOf(1, settings)), (error: Error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, message);
        assert.ok(!error.message.includes("key-1"));
        return true;
      });
    }
  });
});
