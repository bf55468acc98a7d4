// Another service that takes what identity gives: tokens by their signature, keys by asking once a minute.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import type { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { requestContext } from "#platform/context.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/registration.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { contractOf } from "../../platform/test/authorization/contract-of.ts";
import { identityConfig } from "../src/config.ts";
import { buildIdentity } from "../src/identity.ts";
import { migrations } from "../src/migrations/list.ts";
import { hashOf } from "../src/proof/secret-text.ts";
import { bootstrapKey, identityDatabase, issuer } from "./harness.ts";

const common = {
  GRPC_PORT: "0",
  HTTP_PORT: "0",
  LOG_LEVEL: "error",
  PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
};

describe("a service that takes credentials of identity", () => {
  const contract = contractOf({ GetOrder: { roles: [Role.AGENT] } }) as typeof OrderService;
  const actors: (string | undefined)[] = [];
  let database: TestDatabase;
  let identity: RunningService;
  let reader: RunningService;
  before(async () => {
    database = await identityDatabase();
    const definition = { config: identityConfig, database: { entities: [], migrations }, build: buildIdentity };
    identity = await launch(
      { name: "identity", ...definition },
      {
        ...common,
        DATABASE_URL: database.url,
        TOKEN_ISSUER: issuer,
        BOOTSTRAP_KEY_SHA256: hashOf(bootstrapKey).toString("hex"),
      },
    );
    const getOrder = () => {
      actors.push(requestContext().actor);
      return {};
    };
    const keys = `http://127.0.0.1:${identity.httpPort}/.well-known/jwks.json`;
    reader = await launch(
      { name: "reader", config: {}, build: () => ({ services: [register(contract, { getOrder })] }) },
      {
        ...common,
        TOKEN_ISSUERS: JSON.stringify([{ issuer, audience: "ordermesh", keys }]),
        IDENTITY_ADDRESS: `127.0.0.1:${identity.grpcPort}`,
      },
    );
  });
  after(async () => {
    await reader?.drain();
    await identity?.drain();
    await database?.[Symbol.asyncDispose]();
  });

  const at = ({ grpcPort }: RunningService) => createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` });
  const admin = () => createClient(IdentityAdminService, at(identity));
  const asAdmin = { headers: { authorization: `Bearer ${bootstrapKey}` } };

  async function outcomeOf(credential: string | undefined): Promise<string> {
    const headers: Record<string, string> = credential ? { authorization: `Bearer ${credential}` } : {};
    try {
      await createClient(contract, at(reader)).getOrder({ orderId: "0".repeat(26) }, { headers });
      return `taken from ${actors.pop()}`;
    } catch (error) {
      return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? String(error);
    }
  }

  it("takes a key as it is, and its token, and knows whose they are", async () => {
    const { apiKey, secret } = await admin().createApiKey({ name: "shop", roles: [Role.AGENT] }, asAdmin);
    const expected = `taken from key:${apiKey?.apiKeyId}`;
    assert.equal(await outcomeOf(secret), expected);
    const { accessToken } = await createClient(IdentityService, at(identity)).exchangeApiKey({ apiKey: secret });
    assert.equal(await outcomeOf(accessToken), expected);
  });

  it("refuses who shows nothing, who made it up, and who is there for something else", async () => {
    const { secret } = await admin().createApiKey({ name: "warehouse", roles: [Role.WAREHOUSE] }, asAdmin);
    assert.deepEqual(
      [await outcomeOf(undefined), await outcomeOf("ordermesh_key_made-up"), await outcomeOf(secret)],
      ["CREDENTIAL_MISSING", "CREDENTIAL_REFUSED", "NOT_PERMITTED"],
    );
  });
});
