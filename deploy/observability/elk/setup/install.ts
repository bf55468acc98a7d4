// `install.ts`: has Elasticsearch and Kibana know our fields, lifecycle, views and rules. Repeating it changes nothing.
// Needs only Node 24, as it also runs as a job in the cluster, from a folder with nothing but these files.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Call, call, RefusedError } from "./client.ts";
import { elasticsearch, jaegerUrl, kibana, type Server } from "./config.ts";

function text(file: string): string {
  return readFileSync(join(import.meta.dirname, file), "utf8");
}

/** What Elasticsearch is told, in this order: each step needs those before it. */
export const elasticsearchCalls: readonly Call[] = [
  { method: "PUT", path: "/_ilm/policy/ordermesh-logs", body: text("lifecycle.json") },
  ...["settings", "ecs", "own"].map(
    (part): Call => ({
      method: "PUT",
      path: `/_component_template/ordermesh-logs-${part}`,
      body: text(`component-${part}.json`),
    }),
  ),
  { method: "PUT", path: "/_index_template/ordermesh-logs", body: text("index-template.json") },
  { method: "PUT", path: "/_ilm/policy/ordermesh-audit", body: text("audit-lifecycle.json") },
  { method: "PUT", path: "/_component_template/ordermesh-audit-settings", body: text("audit-settings.json") },
  { method: "PUT", path: "/_index_template/ordermesh-audit", body: text("audit-template.json") },
];

/** An alert rule of Kibana, with the id that it is known by. */
export interface Rule {
  readonly id: string;
  readonly rule: Readonly<Record<"name" | "consumer" | "rule_type_id", string>> & {
    readonly tags: readonly string[];
    readonly schedule: { readonly interval: string };
    readonly params: Readonly<Record<string, unknown>>;
    readonly actions: readonly unknown[];
  };
}

/** Sets up Elasticsearch. */
export async function installTemplates(server: Server): Promise<void> {
  for (const step of elasticsearchCalls) await call(server, step);
}

/** Sets up Kibana: view, searches, dashboard, rules. */
export async function installKibana(server: Server, traces: string): Promise<void> {
  const form = new FormData();
  const objects = text("kibana.ndjson").replaceAll("{{JAEGER_URL}}", traces);
  form.set("file", new Blob([objects], { type: "application/ndjson" }), "kibana.ndjson");
  const path = "/api/saved_objects/_import?overwrite=true";
  const { success, errors } = (await call(server, { method: "POST", path, body: form })) as {
    success: boolean;
    errors?: unknown;
  };
  if (!success) throw new Error(`Kibana did not take its objects: ${JSON.stringify(errors)}`);
  for (const { id, rule } of JSON.parse(text("rules.json")) as Rule[]) await installRule(server, id, rule);
}

/** A rule is created or, when it is there, changed; what may not be changed later is left out then. */
async function installRule(server: Server, id: string, rule: Rule["rule"]): Promise<void> {
  const path = `/api/alerting/rule/${id}`;
  try {
    await call(server, { method: "POST", path, body: JSON.stringify(rule) });
  } catch (error) {
    if (!(error instanceof RefusedError) || error.status !== 409) throw error;
    const { name, tags, schedule, params, actions } = rule;
    await call(server, { method: "PUT", path, body: JSON.stringify({ name, tags, schedule, params, actions }) });
  }
}

if (import.meta.main) {
  if (!elasticsearch) throw new Error("ELASTICSEARCH_URL is not set");
  await installTemplates(elasticsearch);
  console.log("Elasticsearch knows the lifecycle, the fields and the data streams.");
  if (kibana) {
    await installKibana(kibana, jaegerUrl);
    console.log("Kibana has the view, the searches, the dashboard and the rules.");
  }
}
