import { type DescEnum, type DescExtension, type DescMethod, type FileRegistry, getOption } from "@bufbuild/protobuf";
import type { Access as AccessRule } from "../../services/platform/src/gen/shop/type/v1/access_pb.js";

/** `shop/type/v1/access.proto`, read from the protos that are printed as well. */
export interface Access {
  readonly option: DescExtension;
  readonly roles: DescEnum;
}

/** @throws Error when the protos have no such options */
export function accessIn(registry: FileRegistry): Access {
  const option = registry.getExtension("shop.type.v1.access");
  const roles = registry.getEnum("shop.type.v1.Role");
  if (!option || !roles) throw new Error("shop/type/v1/access.proto does not say who may call");
  return { option, roles };
}

/** The registry knows the option, and not the type of its values, which is generated. */
function ruleOf(method: DescMethod, { option }: Access): AccessRule {
  return getOption(method, option) as unknown as AccessRule;
}

/** Whether a method may be called without a credential. */
export function isOpen(method: DescMethod, access: Access): boolean {
  return ruleOf(method, access).anyone;
}

/**
 * Who may call a method: "Called by: agent, a customer about what is its own (`customer_id`), the service worker."
 *
 * @param written how a role is written
 */
export function callersOf(
  method: DescMethod,
  access: Access,
  written: (role: string) => string = (role) => role,
): string {
  const rule = ruleOf(method, access);
  if (rule.anyone) return "Called by: everybody, also without a credential.";
  const named = rule.roles.map((role) => written(access.roles.value[role]?.localName.toLowerCase() ?? ""));
  const { of } = rule.person ?? rule.own ?? {};
  const field = of?.case === "field" ? ` (\`${of.value}\`)` : "";
  const people = rule.people ? ["people alone, no programs"] : [];
  const own = rule.own ? [`a ${written("customer")} about what is its own${field}`] : [];
  const person = rule.person ? [`whoever has logged in, about themselves${field}`] : [];
  const services = rule.services.map((name) => `the service ${name}`);
  return `Called by: ${[...named, ...people, ...own, ...person, ...services].join(", ") || "nobody"}.`;
}
