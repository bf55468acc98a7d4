// A worker's first steps towards a real server: one that comes up later, is reached by IPv6, and takes no orders from it as an operator.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { NativeConnection } from "@temporalio/worker";
import { loadConfig } from "#platform/config.ts";
import { until } from "#testing/until.ts";
import { tool } from "../../../../dev/tools/tool.ts";
import { connect, type Registrar, registerSearchAttributes } from "../../src/temporal/connection.ts";
import { temporalConfig } from "../../src/temporal/temporal-config.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "::1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const port = await freePort();
const config = loadConfig(temporalConfig, { TEMPORAL_ADDRESS: `[::1]:${port}`, TEMPORAL_TIMEOUT_MS: "30000" });

/** A connection by which an operator's doors are shut, as for a writer of a namespace. */
function withoutRights(connection: NativeConnection): Registrar {
  const refuse = () => Promise.reject(Object.assign(new Error("Request unauthorized."), { code: 7 }));
  const operatorService = { listSearchAttributes: refuse, addSearchAttributes: refuse };
  const { workflowService } = connection;
  const withDeadline = connection.withDeadline.bind(connection);
  return { withDeadline, workflowService, operatorService } as unknown as Registrar;
}

describe("a worker that starts", () => {
  let server: ChildProcess | undefined;
  let connection: NativeConnection | undefined;

  after(async () => {
    await connection?.close();
    if (!server) return;
    server.kill("SIGKILL");
    await once(server, "exit");
  });

  test("says in one sentence that no server came up in time", async () => {
    await assert.rejects(connect({ ...config, TEMPORAL_TIMEOUT_MS: 400 }), {
      name: "StartError",
      message: new RegExp(`^Temporal at \\[::1\\]:${port} is not reached within 400 ms \\(TEMPORAL_ADDRESS\\): `),
    });
  });

  test("waits for a server that comes up later", async () => {
    const path = await tool("temporal");
    const connecting = connect(config);
    // Longer than an attempt takes.
    await Promise.race([connecting, pause(600)]);
    server = spawn(path, ["server", "start-dev", "--headless", "--ip", "::1", "--port", String(port)], {
      stdio: "ignore",
    });
    connection = await connecting;
    const { workflowService } = connection;
    // The server answers before its namespace is there.
    const described = () => workflowService.describeNamespace({ namespace: config.TEMPORAL_NAMESPACE });
    await until(
      () =>
        described().then(
          () => true,
          () => false,
        ),
      "the namespace is there",
    );
  });

  test("needs no rights of an operator, once whoever has them did what it says", async () => {
    assert.ok(connection);
    const worker = withoutRights(connection);
    await assert.rejects(registerSearchAttributes(worker, config), {
      name: "StartError",
      message:
        /^the namespace default lacks search attributes .*--name OrderIds .*--name CustomerIds .*--name ParkedOrderIds /,
    });
    await registerSearchAttributes(connection, config);
    await registerSearchAttributes(worker, config);
    await assert.rejects(registerSearchAttributes(worker, { ...config, TEMPORAL_NAMESPACE: "elsewhere" }), {
      name: "StartError",
      message: "Temporal has no namespace elsewhere (TEMPORAL_NAMESPACE)",
    });
  });
});
