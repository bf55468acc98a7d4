import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { accessOf } from "#platform/authorization/access-rule.ts";
import { ServiceTokens } from "#platform/authorization/service-tokens.ts";
import { until } from "#testing/until.ts";
import { type Service, services } from "../../../services/services.ts";
import type { Stack } from "../../stack/stack.ts";
import type { ContractCall } from "./contract-fields.ts";

/** Whose access token is shown where people do something about themselves, or where no program may. */
const somebody = "somebody@proofs.example";
const password = "seven tame otters dancing";

function identityOf(stack: Stack) {
  return createGrpcTransport({ baseUrl: `http://${stack.address("identity")}` });
}

/** The access token of somebody who has registered. */
async function logIn(stack: Stack, email: string): Promise<string> {
  const { tokens } = await createClient(IdentityService, identityOf(stack)).login({ email, password });
  return tokens?.accessToken ?? "";
}

/** Has somebody register, by what a mail brings, get roles instead of that of a customer where there are some, and log in. */
export async function register(
  stack: Stack,
  email: string,
  roles: readonly Role[] = [],
): Promise<{ personId: string; accessToken: string }> {
  const identity = createClient(IdentityService, identityOf(stack));
  await identity.mailPasswordToken({ email });
  const mailed = () => {
    const files = globSync("mail/*.json", { cwd: stack.blueprint.dataDirectory });
    const mails = files.map((name) => JSON.parse(readFileSync(join(stack.blueprint.dataDirectory, name), "utf8")));
    return mails.find((mail) => mail.email === email && mail.token !== undefined)?.token as string | undefined;
  };
  const token = await until(mailed, "a mail");
  const { personId } = await identity.setPassword({ token, password });
  if (roles.length > 0) {
    const admin = createClient(IdentityAdminService, identityOf(stack));
    await admin.setRoles({ personId, roles: [...roles] }, { headers: stack.headers });
  }
  return { personId, accessToken: await logIn(stack, email) };
}

function bearer(accessToken: string): { authorization: string } {
  return { authorization: `Bearer ${accessToken}` };
}

/**
 * What whoever may make a call shows: a service's token where it is for one, a person's where it is for people, else the
 * credential of whoever develops.
 */
export class Proofs implements Disposable {
  readonly #stack: Stack;
  readonly #tokens: ReadonlyMap<string, ServiceTokens>;
  #person: { authorization: string };

  private constructor(stack: Stack, tokens: ReadonlyMap<string, ServiceTokens>, person: { authorization: string }) {
    this.#stack = stack;
    this.#tokens = tokens;
    this.#person = person;
  }

  static async open(stack: Stack): Promise<Proofs> {
    const { serviceKeys } = stack.blueprint.credentials;
    const logger = {
      error(message: string): never {
        throw new Error(message);
      },
    };
    const open = async (service: Service) => {
      const key = { text: JSON.stringify(serviceKeys[service]) };
      return [service, await ServiceTokens.open(service, key, logger)] as const;
    };
    const { accessToken } = await register(stack, somebody, [Role.FINANCE]);
    const tokens = new Map(await Promise.all(services.map(open)));
    return new Proofs(stack, tokens, bearer(accessToken));
  }

  /** Has the person log in anew: every token of before is void once the keys that sign are replaced. */
  async renew(): Promise<void> {
    this.#person = bearer(await logIn(this.#stack, somebody));
  }

  /** As headers. Identity takes what it gave itself alone. */
  for({ server, method }: ContractCall): { authorization: string } {
    const { person, people, roles = [], services: [service = ""] = [] } = accessOf(method) ?? {};
    // What others may besides is asked for as one of them: a person may about nobody but that person.
    if (people || (person && roles.length === 0)) return this.#person;
    return server === "identity" ? this.#stack.headers : this.of(service);
  }

  /** What a service of ours shows; the credential of whoever develops for any other name. */
  of(service: string): { authorization: string } {
    const tokens = this.#tokens.get(service);
    return tokens ? { authorization: tokens.authorization } : this.#stack.headers;
  }

  [Symbol.dispose](): void {
    for (const tokens of this.#tokens.values()) tokens[Symbol.dispose]();
  }
}
