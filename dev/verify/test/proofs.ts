import { accessOf } from "#platform/authorization/access-rule.ts";
import { ServiceTokens } from "#platform/authorization/service-tokens.ts";
import { type Service, services } from "../../../services/services.ts";
import type { Stack } from "../../stack/stack.ts";
import type { ContractCall } from "./contract-fields.ts";

/** What whoever may make a call shows: a service's token where it is for one, else the credential of whoever develops. */
export class Proofs implements Disposable {
  readonly #stack: Stack;
  readonly #tokens: ReadonlyMap<string, ServiceTokens>;

  private constructor(stack: Stack, tokens: ReadonlyMap<string, ServiceTokens>) {
    this.#stack = stack;
    this.#tokens = tokens;
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
    return new Proofs(stack, new Map(await Promise.all(services.map(open))));
  }

  /** As headers. Identity takes what it gave itself alone. */
  for({ server, method }: ContractCall): { authorization: string } {
    const [service = ""] = accessOf(method)?.services ?? [];
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
