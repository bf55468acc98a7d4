// biome-ignore lint/plugin/files: a file of ours
import { readFileSync } from "node:fs";
import type { DescService } from "@bufbuild/protobuf";
import { productVersion } from "#platform/version.ts";

type Json = Readonly<Record<string, unknown>>;

/** A call by one of its verbs. Each entry of `security` is one way in which a caller may prove who it is; none, where nobody has to. */
interface Operation {
  readonly security: readonly Json[];
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

/** What is read of the document that is generated from the protos. */
interface Contract {
  readonly info: Json;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Paths;
  readonly components: Readonly<Record<string, Json>>;
}

const file = new URL("../gen/openapi.json", import.meta.url);

/** Where a value of the document points: "schemas/shop.type.v1.Money" and the like. */
function refsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => {
    return key === "$ref" && typeof part === "string" ? [part.replace("#/components/", "")] : refsIn(part);
  });
}

/** The components that the paths need, and those that these need; how a credential is shown is named without pointing to it. */
function componentsFor(paths: Paths, components: Contract["components"]): Contract["components"] {
  const schemes = Object.keys(components.securitySchemes ?? {}).map((name) => `securitySchemes/${name}`);
  const needed = new Set([...schemes, ...refsIn(paths)]);
  for (const ref of needed) {
    const [kind = "", name = ""] = ref.split("/");
    for (const next of refsIn(components[kind]?.[name])) needed.add(next);
  }
  const kinds = Object.entries(components).map(([kind, all]) => {
    return [kind, Object.fromEntries(Object.entries(all).filter(([name]) => needed.has(`${kind}/${name}`)))];
  });
  return Object.fromEntries(kinds);
}

/** A credential may be shown, and need not. */
function withoutAsking(operations: Paths[string]): Paths[string] {
  const all = Object.entries(operations).map(([verb, operation]) => {
    return [verb, { ...operation, security: [{}, ...operation.security] }] as const;
  });
  return Object.fromEntries(all);
}

/**
 * The OpenAPI document of the calls of some services, as JSON.
 *
 * @param asks whether callers are asked for a credential where the contract wants one
 */
export function openApiOf(services: readonly DescService[], asks: boolean): string {
  // biome-ignore lint/plugin/json: a file of ours
  const whole = JSON.parse(readFileSync(file, "utf8")) as Contract;
  const names = new Set(services.map(({ typeName }) => typeName));
  const packages = [...new Set(services.map((service) => service.file.proto.package))];
  const own = Object.entries(whole.paths).filter(([path]) => names.has(path.split("/")[1] ?? ""));
  const paths = Object.fromEntries(own.map(([path, each]) => [path, asks ? each : withoutAsking(each)]));
  return JSON.stringify({
    ...whole,
    info: { ...whole.info, title: packages.join(", "), version: productVersion },
    tags: whole.tags.filter(({ name }) => names.has(name)),
    paths,
    components: componentsFor(paths, whole.components),
  });
}
