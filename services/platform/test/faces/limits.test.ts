// Who calls too often is refused on both faces alike, told when to come back, and nobody else is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Client, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService, ErrorKind } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { collect, failure } from "./calls.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";

const calls = 4;
const environment = {
  RATE_LIMIT_WRITE: `${calls}/3600`,
  RATE_LIMIT_READ: "off",
  TRUSTED_PROXIES: "127.0.0.1",
  LOG_LEVEL: "error",
};

let callers = 0;
/** An address from which nobody has called yet. */
function newAddress(): string {
  callers += 1;
  return `198.51.100.${callers}`;
}

/** Calls as the proxy of a client would. */
function behind(address: string): Interceptor {
  return (next) => (request) => {
    request.header.set("x-forwarded-for", `10.0.0.1, ${address}`);
    return next(request);
  };
}

/** The headers of a limit, and nothing else; some seconds may have passed. */
function limitHeaders(headers: Headers): Record<string, string> {
  const about = [...headers].filter(([name]) => /ratelimit|retry-after/.test(name));
  const whole = (text: string) => text.replace(/\b8[5-9]\d\b/, "900").replace(/\b35[5-9]\d\b/, "3600");
  return Object.fromEntries(about.map(([name, value]) => [name, whole(value)]));
}

const spent = {
  ratelimit: '"write";r=0;t=900',
  "ratelimit-policy": `"write";q=${calls};w=3600`,
  "x-ratelimit-limit": String(calls),
  "x-ratelimit-remaining": "0",
  "x-ratelimit-reset": "900",
};

let running: RunningConformance;
before(async () => {
  running = await startConformance(environment);
});
after(() => running.drain());

function clientOf(face: string, address: string): Client<typeof ConformanceService> {
  const interceptors = [behind(address)];
  const transport =
    face === "gRPC"
      ? createGrpcTransport({
          baseUrl: `http://127.0.0.1:${running.grpcPort}`,
          interceptors,
          idleConnectionTimeoutMs: 50,
        })
      : createConnectTransport({ baseUrl: `http://127.0.0.1:${running.httpPort}`, httpVersion: "1.1", interceptors });
  return createClient(ConformanceService, transport);
}

async function countsOf(decision: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${running.httpPort}/metrics`)).text();
  const line = new RegExp(
    `^rpc_server_limit_decisions_total\\{.*class="write",by="address",decision="${decision}"\\} (\\d+)$`,
    "m",
  );
  return Number(line.exec(text)?.[1]);
}

for (const face of ["gRPC", "HTTP"]) {
  describe(`limits by ${face}`, () => {
    test("refuse who has called too often, say when to come back, and are counted", async () => {
      const client = clientOf(face, newAddress());
      const before = [await countsOf("passed"), await countsOf("refused")];
      for (let index = 0; index < calls; index += 1) await client.echo({});
      const error = await failure(client.echo({}));
      assert.equal(error.code, Code.ResourceExhausted);
      const [info] = error.findDetails(ErrorInfoSchema);
      assert.deepEqual(
        [info?.reason, info?.domain, info?.metadata],
        ["RATE_LIMITED", "platform.shop", { limit: "write" }],
      );
      const { retryDelay } = error.findDetails(RetryInfoSchema)[0] ?? {};
      assert.ok(Number(retryDelay?.seconds) >= 850 && Number(retryDelay?.seconds) <= 900, String(retryDelay?.seconds));
      assert.deepEqual(limitHeaders(error.metadata), { ...spent, "retry-after": "900" });
      assert.deepEqual(
        [await countsOf("passed"), await countsOf("refused")],
        [(before[0] ?? 0) + calls, (before[1] ?? 0) + 1],
      );
      await clientOf(face, newAddress()).echo({});
    });

    test("are told with answers and errors alike", async () => {
      const client = clientOf(face, newAddress());
      const left: (string | null)[] = [];
      const onHeader = (headers: Headers) => left.push(headers.get("x-ratelimit-remaining"));
      for (let index = 1; index < calls; index += 1) await client.echo({}, { onHeader });
      const error = await failure(client.echo({ error: ErrorKind.DOMAIN }, { onHeader }));
      left.push(error.metadata.get("x-ratelimit-remaining"));
      // On gRPC they are told once half is gone.
      assert.deepEqual(left, face === "gRPC" ? [null, null, "1", "0"] : ["3", "2", "1", "0"]);
    });

    test("hold for streams", async () => {
      const client = clientOf(face, newAddress());
      for (let index = 1; index < calls; index += 1) await client.echo({});
      let headers = new Headers();
      const onHeader = (given: Headers) => (headers = given);
      assert.equal((await collect(client.count({ count: 2 }, { onHeader }))).length, 2);
      assert.deepEqual(limitHeaders(headers), {
        ...spent,
        ratelimit: '"write";r=0;t=3600',
        "x-ratelimit-reset": "3600",
      });
      const error = await failure(collect(client.count({ count: 2 }, { onHeader })));
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "RATE_LIMITED");
      assert.deepEqual(limitHeaders(headers), { ...spent, "retry-after": "900" });
    });

    test("do not hold for what has none", async () => {
      const client = clientOf(face, newAddress());
      for (let index = 0; index < calls * 2; index += 1) await client.listItems({});
    });
  });
}

test("both faces share a caller's budget", async () => {
  const address = newAddress();
  for (let index = 0; index < calls; index += 1) await clientOf("HTTP", address).echo({});
  assert.equal((await failure(clientOf("gRPC", address).echo({}))).code, Code.ResourceExhausted);
});

test("a refusal is answered with 429 to whoever speaks HTTP", async () => {
  const headers = { "content-type": "application/json", "x-forwarded-for": newAddress() };
  const url = `http://127.0.0.1:${running.httpPort}/${ConformanceService.typeName}/Echo`;
  const statuses: number[] = [];
  for (let index = 0; index <= calls; index += 1) {
    const response = await fetch(url, { method: "POST", headers, body: "{}" });
    statuses.push(response.status);
    await response.arrayBuffer();
  }
  assert.deepEqual(statuses, [200, 200, 200, 200, 429]);
});
