// What stands between callers and a service: browsers, load balancers, proxies.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { loadConfig, platformConfig } from "#platform/config.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { listenOn } from "#platform/listen.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";

const path = `/${ConformanceService.typeName}/Echo`;
const page = "https://shop.example";
const json = { "content-type": "application/json" };

function preflight(port: number, origin: string): Promise<Response> {
  const headers = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,connect-protocol-version,x-request-id",
  };
  return fetch(`http://127.0.0.1:${port}${path}`, { method: "OPTIONS", headers });
}

function listed(response: Response, header: string): string[] {
  return (response.headers.get(header) ?? "").split(/, ?/).map((name) => name.toLowerCase());
}

describe("pages in browsers", () => {
  let service: RunningConformance;
  before(async () => {
    service = await startConformance({ HTTP_CORS_ORIGINS: `${page}, http://localhost:3000` });
  });
  after(() => service.drain());

  test("that are named may call, and their browsers remember it for two hours", async () => {
    for (const origin of [page, "http://localhost:3000"]) {
      const response = await preflight(service.httpPort, origin);
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), origin);
      assert.deepEqual(listed(response, "access-control-allow-methods"), ["post", "get"]);
      for (const name of [
        "content-type",
        "connect-protocol-version",
        "connect-timeout-ms",
        "x-grpc-web",
        "x-request-id",
      ]) {
        assert.ok(listed(response, "access-control-allow-headers").includes(name), name);
      }
      assert.equal(response.headers.get("access-control-max-age"), "7200");
      assert.equal(response.headers.get("vary"), "origin");
    }
  });

  test("that are named may read what calls answer, errors too", async () => {
    for (const body of ["{}", '{"txet":1}']) {
      const init = { method: "POST", headers: { ...json, origin: page }, body };
      const response = await fetch(`http://127.0.0.1:${service.httpPort}${path}`, init);
      assert.equal(response.headers.get("access-control-allow-origin"), page);
      for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin", "etag", "x-ratelimit-remaining"]) {
        assert.ok(listed(response, "access-control-expose-headers").includes(name), name);
      }
    }
  });

  test("of any other origin may not, however near it is", async () => {
    for (const origin of [
      "https://shop.example.evil.test",
      "http://shop.example",
      "https://shop.example:8443",
      "null",
    ]) {
      const response = await preflight(service.httpPort, origin);
      assert.equal(response.headers.get("access-control-allow-origin"), null, origin);
      assert.equal(response.headers.get("access-control-allow-methods"), null, origin);
      assert.equal(response.headers.get("vary"), "origin");
    }
  });

  test("may not call a service for which no origin is named", async () => {
    const closed = await startConformance();
    const response = await preflight(closed.httpPort, page);
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("access-control-allow-origin"), null);
    await closed.drain();
  });

  test("are named by exact origins", () => {
    for (const wrong of [
      "*",
      "https://*.shop.example",
      "shop.example",
      "https://shop.example/",
      "https://shop.example/a",
    ]) {
      assert.throws(
        () => loadConfig({ HTTP_CORS_ORIGINS: platformConfig.HTTP_CORS_ORIGINS }, { HTTP_CORS_ORIGINS: wrong }),
        /HTTP_CORS_ORIGINS: must be origins/,
      );
    }
  });
});

describe("a connection that is kept alive", () => {
  async function announced(service: RunningConformance): Promise<string | null> {
    const response = await fetch(`http://127.0.0.1:${service.httpPort}/healthz`);
    await response.text();
    return response.headers.get("keep-alive");
  }

  test("rests for longer than those of load balancers, unless told otherwise", async () => {
    const usual = await startConformance();
    assert.equal(await announced(usual), "timeout=620");
    await usual.drain();
    const other = await startConformance({ HTTP_KEEP_ALIVE_TIMEOUT_MS: "2000" });
    assert.equal(await announced(other), "timeout=2");
    const socket = connectTcp(other.httpPort, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    socket.resume();
    await once(socket, "end");
    await other.drain();
  });
});

describe("a proxy in the environment", () => {
  const names = ["http_proxy", "https_proxy", "grpc_proxy"] as const;
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  const proxy = createServer((socket) => {
    sockets.add(socket);
    socket.once("data", (data) => {
      asked.push(String(data).split("\r\n")[0] ?? "");
      socket.destroy();
    });
  });
  let service: RunningConformance;
  let kept: NodeJS.ProcessEnv;
  before(async () => {
    service = await startConformance();
    const address = `http://127.0.0.1:${await listenOn(proxy, "127.0.0.1", 0)}`;
    kept = { ...process.env };
    for (const name of names) process.env[name] = address;
  });
  after(async () => {
    for (const name of names) {
      if (kept[name] === undefined) delete process.env[name];
      else process.env[name] = kept[name];
    }
    for (const socket of sockets) socket.destroy();
    proxy.close();
    await service.drain();
  });

  async function call(useProxy: boolean): Promise<string> {
    const clients = new Clients({ defaultTimeoutMs: 2_000, maxMessageBytes: 1e6, useProxy });
    try {
      const answer = await clients.client(ConformanceService, `127.0.0.1:${service.grpcPort}`).echo({ text: "hello" });
      return answer.text;
    } finally {
      clients.close();
    }
  }

  test("is not asked for calls inside of the mesh", async () => {
    assert.equal(await call(false), "hello");
    assert.deepEqual(asked, []);
  });

  test("is asked when that is wanted", async () => {
    const error = await call(true).catch((reason: unknown) => reason);
    assert.ok(error instanceof ConnectError && [Code.Unavailable, Code.DeadlineExceeded].includes(error.code));
    assert.equal(asked[0], `CONNECT 127.0.0.1:${service.grpcPort} HTTP/1.1`);
  });
});
