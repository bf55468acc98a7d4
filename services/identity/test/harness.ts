import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { IdentityService, type Tokens } from "#gen/shop/identity/v1/identity_service_pb.js";
import { loadConfig, platformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import { authorizationInterceptor } from "#platform/interceptors/authorization.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { identityConfig } from "../src/config.ts";
import { buildIdentity, type IdentityParts } from "../src/identity.ts";
import { migrations } from "../src/migrations/list.ts";
import { hashOf } from "../src/proof/secret-text.ts";

export const issuer = "https://identity.test";
/** A key of admins that is in no row. */
export const bootstrapKey = "ordermesh_key_of-the-first-admin";
/** A master key of personal data. */
export const masterKeys = `test ${Buffer.alloc(32, 7).toString("base64")}`;
export const password = "seven tame otters dancing";

/** A fresh identity database. */
export function identityDatabase(): Promise<TestDatabase> {
  return testDatabase("identity", { entities: [], migrations, connection: { poolMax: 8 } });
}

/** One replica of the service, as a process has it, without its background work. */
export class Replica implements Disposable {
  readonly parts: IdentityParts;
  readonly people: Client<typeof IdentityService>;
  readonly registry: Registry;
  readonly #mails: string;

  private constructor(parts: IdentityParts, registry: Registry, mails: string) {
    this.parts = parts;
    this.registry = registry;
    this.#mails = mails;
    this.people = this.client(IdentityService);
  }

  static async on(database: Database, given: NodeJS.ProcessEnv = {}): Promise<Replica> {
    const mails = mkdtempSync(join(tmpdir(), "ordermesh-mail-"));
    const env = {
      GRPC_PORT: "0",
      HTTP_PORT: "0",
      DATABASE_URL: "postgres://nobody@localhost/unused",
      PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
      TOKEN_ISSUER: issuer,
      BOOTSTRAP_KEY_SHA256: hashOf(bootstrapKey).toString("hex"),
      MAIL_FOLDER: mails,
      PERSONAL_DATA_KEYS: masterKeys,
      ...given,
    };
    const registry = new Registry();
    const config = loadConfig({ ...platformConfig, ...identityConfig }, env);
    const output = new PassThrough().resume();
    const parts = await buildIdentity({ config, database, logger: quietLogger(), registry, output });
    return new Replica(parts, registry, mails);
  }

  /** Calls the service in memory, through interceptors that it has in production. */
  client<T extends DescService>(service: T, credential?: string): Client<T> {
    const { services, credentials } = this.parts;
    if (!credentials) throw new Error("nobody is asked who calls");
    const descriptors = services.map((registration) => registration.service);
    const interceptors = [
      contextInterceptor(30_000),
      errorInterceptor(),
      authorizationInterceptor({ services: descriptors, credentials, onRefused: () => undefined }),
      validationInterceptor(descriptors),
    ];
    const transport = createRouterTransport(
      (router) => {
        for (const { route } of services) route(router);
      },
      {
        router: { interceptors },
        transport: {
          interceptors: [
            (next) => (request) => {
              if (credential) request.header.set("authorization", `Bearer ${credential}`);
              return next(request);
            },
          ],
        },
      },
    );
    return createClient(service, transport);
  }

  /** What admins call. */
  admin(credential = bootstrapKey): Client<typeof IdentityAdminService> {
    return this.client(IdentityAdminService, credential);
  }

  /** How many tokens were sent. */
  get mails(): number {
    return this.#sent().filter(({ kind }) => kind === "password_token").length;
  }

  /** What somebody was told of, in its order. */
  notices(email: string): string[] {
    return this.#sent().flatMap((mail) => (mail.email === email && mail.kind !== "password_token" ? mail.kind : []));
  }

  /** The token of the next mail that is sent while something is done. */
  async mailed(work: () => Promise<unknown>): Promise<{ email: string; token: string }> {
    const before = this.mails;
    await work();
    await until(() => this.mails > before, "a mail");
    const last = this.#sent().findLast(({ kind }) => kind === "password_token");
    if (last?.token === undefined) throw new Error("a mail without a token");
    return { email: last.email, token: last.token };
  }

  /** Somebody who can log in, by the address's first part. */
  async person(name: string): Promise<{ personId: string; email: string; login(): Promise<Tokens> }> {
    const email = `${name}@example.com`;
    const { token } = await this.mailed(() => this.people.mailPasswordToken({ email }));
    const { personId } = await this.people.setPassword({ token, password });
    const login = async () => {
      const { tokens } = await this.people.login({ email, password });
      if (!tokens) throw new Error("a login without tokens");
      return tokens;
    };
    return { personId, email, login };
  }

  #sent(): { kind: string; email: string; token?: string }[] {
    const names = readdirSync(this.#mails).filter((name) => !name.startsWith("."));
    return names.map((name) => JSON.parse(readFileSync(join(this.#mails, name), "utf8")));
  }

  [Symbol.dispose](): void {
    rmSync(this.#mails, { recursive: true, force: true });
  }
}

/** The reason that a call is refused for. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "none",
    (error: unknown) => {
      const told = ConnectError.from(error);
      return told.findDetails(ErrorInfoSchema)[0]?.reason ?? told.message;
    },
  );
}
