// The service as a process has it: both faces, who is let in, and what readers of its tokens find.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { identityConfig } from "../src/config.ts";
import { buildIdentity } from "../src/identity.ts";
import { migrations } from "../src/migrations/list.ts";
import { hashOf } from "../src/proof/secret-text.ts";
import { bootstrapKey, identityDatabase, issuer } from "./harness.ts";

describe("the identity service", () => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-mail-"));
  let database: TestDatabase;
  let service: RunningService;
  before(async () => {
    database = await identityDatabase();
    const definition = {
      name: "identity",
      config: identityConfig,
      database: { entities: [], migrations },
      build: buildIdentity,
    };
    service = await launch(definition, {
      GRPC_PORT: "0",
      HTTP_PORT: "0",
      LOG_LEVEL: "error",
      DATABASE_URL: database.url,
      PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
      TOKEN_ISSUER: issuer,
      BOOTSTRAP_KEY_SHA256: hashOf(bootstrapKey).toString("hex"),
      MAIL_FOLDER: folder,
    });
  });
  after(async () => {
    await service?.drain();
    await database?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const http = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${service.httpPort}${path}`, init);
  const post = (path: string, headers: Record<string, string> = {}, body = "{}") =>
    http(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
  const listPeople = "/shop.identity.v1.IdentityAdminService/ListPeople";
  const transport = () => createGrpcTransport({ baseUrl: `http://127.0.0.1:${service.grpcPort}` });

  it("asks by HTTP for a credential, as RFC 6750 has it", async () => {
    const without = await post(listPeople);
    assert.deepEqual([without.status, without.headers.get("www-authenticate")], [401, "Bearer"]);
    assert.match(await without.text(), /"reason":"CREDENTIAL_MISSING","domain":"platform.shop"/);
    const wrong = await post(listPeople, { authorization: "Bearer ordermesh_key_wrong" });
    assert.deepEqual([wrong.status, wrong.headers.get("www-authenticate")], [401, 'Bearer error="invalid_token"']);
    const other = await post("/shop.audit.v1.AuditService/ListAuditEvents", {
      authorization: `Bearer ${bootstrapKey}`,
    });
    assert.equal(other.status, 403);
    const right = await post(listPeople, { authorization: `Bearer ${bootstrapKey}` });
    assert.equal(right.status, 200);
    const read = await http(`${listPeople}?encoding=json&message=%7B%7D`);
    assert.equal(read.status, 401);
  });

  it("asks by gRPC for a credential", async () => {
    const admin = createClient(IdentityAdminService, transport());
    const refused = await admin.listPeople({}).catch(ConnectError.from);
    assert.ok(refused instanceof ConnectError);
    assert.deepEqual([refused.code, refused.metadata.get("www-authenticate")], [Code.Unauthenticated, "Bearer"]);
    await admin.listPeople({}, { headers: { authorization: `Bearer ${bootstrapKey}` } });
  });

  it("counts whom it refused", async () => {
    const text = await (await http("/metrics")).text();
    for (const sample of [
      /^rpc_server_denied_total\{reason="CREDENTIAL_MISSING",service="identity"\} 3$/m,
      /^rpc_server_denied_total\{reason="CREDENTIAL_REFUSED",service="identity"\} 1$/m,
      /^rpc_server_denied_total\{reason="NOT_PERMITTED",service="identity"\} 1$/m,
    ]) {
      assert.match(text, sample);
    }
  });

  it("shows its keys to readers of tokens, who need nothing else", async () => {
    const { accessToken } = await createClient(IdentityService, transport()).exchangeApiKey({ apiKey: bootstrapKey });
    const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${service.httpPort}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(accessToken, keys, { issuer, audience: "ordermesh", typ: "at+jwt" });
    assert.equal(payload.sub, "key:bootstrap");
    const answer = await http("/.well-known/openid-configuration");
    assert.deepEqual([answer.status, answer.headers.get("cache-control")], [200, "public, max-age=60"]);
    assert.equal((await http("/.well-known/jwks.json", { method: "POST" })).status, 405);
  });

  it("publishes what was done in its audit log", async () => {
    const unpublished =
      "select count(*) = 0 as done from audit_event e, audit_cursor c where e.transaction > c.transaction";
    await until(async () => {
      const [row] = await database.database.query<{ done: boolean }>(unpublished);
      return row?.done;
    }, "everything is published");
  });
});
