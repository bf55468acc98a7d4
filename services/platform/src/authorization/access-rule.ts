import { type DescMethod, type DescService, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { type Access, access, Role } from "#gen/shop/type/v1/access_pb.js";

/** Who may call a method, as the contract says; undefined where it says nothing. Decodes each time: ask once, and keep it. */
export function accessOf(method: DescMethod): Access | undefined {
  return hasOption(method, access) ? getOption(method, access) : undefined;
}

function hasText({ input }: DescMethod, name: string): boolean {
  const field = input.fields.find((one) => one.name === name);
  return field?.fieldKind === "scalar" && field.scalar === ScalarType.STRING;
}

function faultOf(method: DescMethod, services: readonly string[] | undefined): string | undefined {
  const rule = accessOf(method);
  if (!rule) return "does not say who may call it: give it the option (shop.type.v1.access)";
  const owner = rule.person ?? rule.own;
  const { of } = owner ?? {};
  const named = rule.roles.length > 0 || rule.services.length > 0 || owner !== undefined || rule.people;
  if (rule.anyone && named) return "lets everybody call it, and names some: say one of both";
  if (!rule.anyone && !named) return "names nobody who may call it: name a role, an owner or a service";
  if (rule.people && (rule.roles.length === 0 || rule.services.length > 0 || owner)) {
    return "is for people alone: name their roles, and nobody else";
  }
  if (rule.roles.some((role) => role === Role.UNSPECIFIED || !(role in Role))) return "names a role that there is not";
  if (rule.own && rule.person) return "names customers, and whoever has logged in: say one of both";
  if (owner && of?.case !== "field" && !of?.value) return "does not say what is somebody's own";
  if (of?.case === "field" && !hasText(method, of.value)) return `has no text "${of.value}" that could name its owner`;
  const unknown = services && rule.services.find((name) => !services.includes(name));
  return unknown === undefined ? undefined : `names "${unknown}", which is no service`;
}

/**
 * What is wrong with what the contract says of who may call, one sentence a method.
 *
 * @param known the names of all services, where they are known
 */
export function accessFaults(services: readonly DescService[], known?: readonly string[]): string[] {
  return services
    .flatMap(({ methods }) => methods)
    .flatMap((method) => {
      const fault = faultOf(method, known);
      return fault === undefined ? [] : [`${method.parent.typeName}.${method.name} ${fault}`];
    });
}
