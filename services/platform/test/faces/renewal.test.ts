// Certificates that are renewed while calls run, on both ports: no call is lost, not even while half of the files are new.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { TlsFiles } from "#platform/tls/tls-files.ts";
import { Authority } from "#testing/certificates.ts";
import { until } from "#testing/until.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "./conformance.ts";

const refresh = { GRPC_TLS_REFRESH_MS: 50 };

describe("a certificate that is renewed under calls", () => {
  let authority: Authority;
  let service: RunningService;
  let files: Awaited<ReturnType<Authority["issue"]>>;
  const lines: string[] = [];
  before(async () => {
    authority = await Authority.create();
    files = await authority.issue("localhost");
    const output = new Writable({
      write: (chunk, _, done) => {
        lines.push(...String(chunk).split("\n"));
        done();
      },
    });
    const environment = { ...testEnvironment, ...files, ADMIN_PORT: "0", HTTP_TLS: "mutual", LOG_LEVEL: "info" };
    const definition = conformanceDefinition(new Conformance());
    service = await launch(definition, { ...environment, GRPC_TLS_REFRESH_MS: "50" }, output);
  });
  after(async () => {
    await service?.drain();
    await authority?.[Symbol.asyncDispose]();
  });

  const file = (name: string) => join(authority.folder, name);

  /** The serial number of the certificate that a new connection is shown. */
  async function shownAt(port: number, { shown }: Caller): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const socket = connect({ host: "localhost", port, ALPNProtocols: ["h2", "http/1.1"], ...shown });
    socket.once("error", reject).once("secureConnect", () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    return promise;
  }

  type Caller = Awaited<ReturnType<typeof caller>>;

  /** What a client holds that has its certificate apart: the server's is what is swapped. */
  async function caller() {
    const own = await authority.issue("caller");
    const [cert, key, ca] = [own.GRPC_TLS_CERT, own.GRPC_TLS_KEY, own.GRPC_TLS_CA].map((path) => readFileSync(path));
    return { ...own, shown: { cert, key, ca } };
  }

  /** Calls with a new connection each time, and on one that stays, until it is told to stop; returns how many. */
  async function callOn(signal: AbortSignal, mine: Caller): Promise<number> {
    using tls = TlsFiles.open({ ...mine, ...refresh });
    const limits = { defaultTimeoutMs: 3_000, maxMessageBytes: 1e6, tls };
    const lasting = new Clients(limits);
    let calls = 0;
    for (; !signal.aborted; calls += 2) {
      const fresh = new Clients(limits);
      for (const clients of [lasting, fresh]) {
        const client = clients.client(ConformanceService, `localhost:${service.grpcPort}`);
        assert.equal((await client.echo({ text: "x" })).text, "x");
      }
      fresh.close();
    }
    lasting.close();
    return calls;
  }

  type Shown = { shown: { ca: Buffer | undefined } };

  /** What a new connection over HTTP gets from a path. */
  function answerAt(path: string, { shown }: Shown): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const asked = { host: "localhost", port: service.httpPort, path, agent: false, ...shown };
    get(asked, (response) => response.resume().once("end", () => resolve(response))).once("error", reject);
    return promise;
  }

  async function statusAt(path: string, shown: Shown): Promise<number | undefined> {
    return (await answerAt(path, shown)).statusCode;
  }

  async function getOn(signal: AbortSignal, mine: Caller): Promise<number> {
    const path = "/ordermesh.testing.v1.ConformanceService/ListItems?encoding=json&message=%7B%7D&connect=v1";
    let calls = 0;
    for (; !signal.aborted; calls += 1) assert.equal(await statusAt(path, mine), 200);
    return calls;
  }

  test("loses none, and is used by both ports for what connects afterwards", async () => {
    const mine = await caller();
    const before = await shownAt(service.grpcPort, mine);
    assert.equal(await shownAt(service.httpPort, mine), before);
    const stop = new AbortController();
    const calls = Promise.all([callOn(stop.signal, mine), getOn(stop.signal, mine)]);
    calls.catch(() => undefined);
    // The key first: until the certificate is there too, the two before are what is shown.
    await authority.issue("next");
    copyFileSync(file("next.key"), file("localhost.key"));
    await until(() => lines.some((line) => line.includes("the certificate stays as it was")), "half is noticed");
    assert.deepEqual([await shownAt(service.grpcPort, mine), await shownAt(service.httpPort, mine)], [before, before]);
    await authority.issue("localhost");
    await until(() => lines.some((line) => line.includes("the certificate was read anew")), "the new ones are read");
    const now = await shownAt(service.grpcPort, mine);
    assert.notEqual(now, before);
    assert.equal(await shownAt(service.httpPort, mine), now);
    stop.abort();
    const [grpc, http] = await calls;
    assert.ok(grpc > 3 && http > 3, `${grpc} and ${http} calls`);
  });

  test("is measured: from when until when the one in use is valid", async () => {
    const text = await (await fetch(`http://127.0.0.1:${service.adminPort}/metrics`)).text();
    const { validFromDate, validToDate } = new X509Certificate(readFileSync(files.GRPC_TLS_CERT));
    for (const [edge, date] of Object.entries({ begin: validFromDate, end: validToDate })) {
      const [, value] =
        text.match(new RegExp(`^tls_certificate_validity_timestamp_seconds{[^}]*edge="${edge}"[^}]*} (\\S+)$`, "m")) ??
        [];
      assert.equal(Number(value), date.getTime() / 1000);
    }
  });

  test("health and metrics have a port of their own, in plain text, and are nowhere else", async () => {
    for (const path of ["healthz", "readyz", "metrics"]) {
      assert.equal((await fetch(`http://127.0.0.1:${service.adminPort}/${path}`)).status, 200, path);
    }
    assert.equal((await fetch(`http://127.0.0.1:${service.adminPort}/openapi.json`)).status, 404);
    assert.equal(await statusAt("/healthz", await caller()), 404);
    assert.equal(await statusAt("/openapi.json", await caller()), 200);
  });

  test("browsers are told to come by TLS alone, and by the plain port they are not", async () => {
    const header = "strict-transport-security";
    for (const path of ["/openapi.json", "/nowhere"]) {
      const { headers } = await answerAt(path, await caller());
      assert.equal(headers[header], "max-age=31536000; includeSubDomains", path);
    }
    assert.equal((await fetch(`http://127.0.0.1:${service.adminPort}/healthz`)).headers.get(header), null);
  });

  test("who has no certificate does not get as far as HTTP, where it is asked both ways", async () => {
    const ca = readFileSync(files.GRPC_TLS_CA);
    await assert.rejects(statusAt("/openapi.json", { shown: { ca } }), {
      code: /ECONNRESET|ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED/,
    });
  });
});
