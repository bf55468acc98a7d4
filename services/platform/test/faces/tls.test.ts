// TLS both ways on the gRPC face: who has a certificate of the authority is served, and nobody else.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { type TlsConfig, TlsFiles } from "#platform/tls/tls-files.ts";
import { Authority } from "#testing/certificates.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "./conformance.ts";

const refresh = { GRPC_TLS_REFRESH_MS: 100 };
const limits = { defaultTimeoutMs: 3_000, maxMessageBytes: 1e6 };
/** How long a call may fail while both ends learn of new files. */
const rotationDeadlineMs = 10_000;

let authority: Authority;
let service: RunningService;
let files: Awaited<ReturnType<Authority["issue"]>>;
before(async () => {
  authority = await Authority.create();
  files = await authority.issue("localhost");
  const environment = { ...testEnvironment, ...files, GRPC_TLS_REFRESH_MS: "100" };
  service = await launch(conformanceDefinition(new Conformance()), environment);
});
after(async () => {
  await service.drain();
  await authority[Symbol.asyncDispose]();
});

/** One call with a new connection. */
async function call(tls: TlsConfig | undefined, host = "localhost"): Promise<string> {
  const clients = new Clients({ ...limits, tls: tls && TlsFiles.open(tls) });
  try {
    const client = clients.client(ConformanceService, `${host}:${service.grpcPort}`);
    return (await client.echo({ text: "hello" })).text;
  } finally {
    clients.close();
  }
}

function refused(error: unknown): boolean {
  assert.ok(error instanceof ConnectError);
  return [Code.Unavailable, Code.DeadlineExceeded].includes(error.code);
}

describe("TLS between services", () => {
  it("serves a caller with a certificate of the authority", async () => {
    assert.equal(await call({ ...files, ...refresh }), "hello");
  });

  it("refuses a caller in plain text", async () => {
    await assert.rejects(call(undefined), refused);
  });

  it("refuses a caller of another authority, even one that trusts ours", async () => {
    await using other = await Authority.create();
    const foreign = await other.issue("localhost");
    await assert.rejects(call({ ...foreign, GRPC_TLS_CA: files.GRPC_TLS_CA, ...refresh }), refused);
  });

  it("is refused by a caller that asked for another name", async () => {
    await assert.rejects(call({ ...files, ...refresh }, "127.0.0.1"), refused);
  });

  it("uses renewed certificates, even of a new authority, without a restart", async () => {
    await using next = await Authority.create();
    await next.issue("localhost");
    await authority.replaceBy(next, ["localhost"]);
    const end = Date.now() + rotationDeadlineMs;
    for (;;) {
      const answer = await call({ ...files, ...refresh }).catch(() => undefined);
      if (answer === "hello") break;
      assert.ok(Date.now() < end, "the new certificates are not used");
    }
  });

  it("is not begun with half of what it needs", async () => {
    const some = { GRPC_TLS_CERT: files.GRPC_TLS_CERT, ...refresh };
    assert.throws(() => TlsFiles.open(some), { message: /set together or not at all/ });
    const missing = { ...files, GRPC_TLS_KEY: "/nowhere/tls.key", ...refresh };
    assert.throws(() => TlsFiles.open(missing), { message: /\/nowhere\/tls.key, which TLS needs, cannot be read/ });
  });
});
