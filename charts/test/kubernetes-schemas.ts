import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { run } from "../../deploy/command/run.ts";
import { buildEnvironment } from "../../dev/tools/config.ts";
import { kubernetesVersion } from "./charts.ts";

type Schema = Readonly<Record<string, unknown>>;

interface Description {
  readonly definitions: Readonly<Record<string, Schema>>;
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const inGroups = "x-kubernetes-group-version-kind";
const prefix = "#/definitions/";

/** What the description calls a string but the server takes in two forms. */
const twoForms: Readonly<Record<string, Schema>> = {
  "io.k8s.apimachinery.pkg.api.resource.Quantity": { type: ["string", "number"] },
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": { type: ["string", "integer"] },
};

/** Makes one schema of a definition: with what it refers to inside it, and closed where the description names the fields. */
function standalone(schema: unknown, all: Description["definitions"], above: readonly string[] = []): unknown {
  if (Array.isArray(schema)) return schema.map((item) => standalone(item, all, above));
  if (schema === null || typeof schema !== "object") return schema;
  const { $ref, [inGroups]: _, ...rest } = schema as Schema;
  if (typeof $ref === "string") {
    const name = $ref.slice(prefix.length);
    // The only definitions that contain themselves describe schemas, of which the charts have none.
    return above.includes(name) ? {} : (twoForms[name] ?? standalone(all[name], all, [...above, name]));
  }
  const entries = Object.entries(rest).map(([key, value]) => [key, standalone(value, all, above)]);
  const closed = "properties" in rest && !("additionalProperties" in rest) ? { additionalProperties: false } : {};
  return { ...Object.fromEntries(entries), ...closed };
}

/** Where the source of a Go module is, `path@version`, fetched by Go into its module cache. */
export async function moduleSource(module: string): Promise<string> {
  const download = ["mod", "download", "-json", module];
  const env = buildEnvironment({ GOFLAGS: "-mod=mod" });
  const json = await run("go", download, { cwd: tmpdir(), env, timeoutMs: 5 * 60_000 });
  return (JSON.parse(json.slice(json.indexOf("{"))) as { Dir: string }).Dir;
}

/**
 * Writes the schemas of all kinds of Kubernetes into a folder, strict ones, as kubeconform asks for them. They are made
 * from the description of its interface that is part of its source.
 * @returns the pattern for kubeconform's `-schema-location`
 */
export async function writeKubernetesSchemas(folder: string, kinds: ReadonlySet<string>): Promise<string> {
  const file = join(await moduleSource(`k8s.io/kubernetes@v${kubernetesVersion}`), "api/openapi-spec/swagger.json");
  const { definitions } = JSON.parse(await readFile(file, "utf8")) as Description;
  for (const definition of Object.values(definitions)) {
    for (const { group, version, kind } of (definition[inGroups] ?? []) as GroupVersionKind[]) {
      if (!kinds.has(kind)) continue;
      const name = [kind, ...(group ? [group.split(".")[0]] : []), version].join("-").toLowerCase();
      await writeFile(join(folder, `${name}.json`), JSON.stringify(standalone(definition, definitions)));
    }
  }
  return join(folder, "{{ .ResourceKind }}{{ .KindSuffix }}.json");
}

interface CustomKind {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

/** As {@link standalone}, of a schema that refers to nothing and says itself where it is open. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const rest = schema as Schema;
  if (rest["x-kubernetes-int-or-string"]) return { type: ["string", "integer", "number"] };
  const entries = Object.entries(rest).map(([key, value]) => [key, closed(value)]);
  const named = typeof rest.properties === "object" && rest.type === "object";
  const isClosed = named && !rest.additionalProperties && !rest["x-kubernetes-preserve-unknown-fields"];
  return { ...Object.fromEntries(entries), ...(isClosed && { additionalProperties: false }) };
}

/** Writes the schemas of the kinds that a file with CustomResourceDefinitions defines, beside those of Kubernetes. */
export async function writeCustomSchemas(folder: string, file: string): Promise<void> {
  for (const document of parseAllDocuments(await readFile(file, "utf8"))) {
    const definition = document.toJS() as CustomKind | null;
    if (!definition?.spec?.versions) continue;
    const { group, names, versions } = definition.spec;
    for (const { name, schema } of versions) {
      const path = join(folder, `${[names.kind, group.split(".")[0], name].join("-").toLowerCase()}.json`);
      await writeFile(path, JSON.stringify(closed(schema.openAPIV3Schema)));
    }
  }
}
