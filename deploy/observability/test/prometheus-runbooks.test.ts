import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { createRegistry, type DescFile, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { parse } from "yaml";
import { accessOf } from "#platform/authorization/access-rule.ts";
import { contractValidator } from "#platform/interceptors/validation.ts";
import { databaseServices, isService, jobs, services } from "../../../services/services.ts";
import { root } from "../../command/checkout.ts";
import { runbookOf } from "../prometheus/alerts/rule.ts";
import { alerts } from "../prometheus/rules.ts";
import { usedBy } from "./promql.ts";
import { blocksOf } from "./runbook-blocks.ts";

const contract = globSync("services/platform/src/gen/shop/**/*_service_pb.js", { cwd: root }).map(async (path) => {
  const parts = Object.values((await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>);
  return parts.find((part) => (part as { kind?: string }).kind === "file") as DescFile;
});
/** All calls of all services. */
const registry = createRegistry(...(await Promise.all(contract)));
const anOrder = "01h3zk5m8q9r2t4v6w8x0y2z4a".toUpperCase();

/** The alerts of the clusters and of the one that watches them, with their severity. */
const federation = parse(readFileSync(join(root, "deploy/observability/prometheus/federation-rules.yaml"), "utf8")) as {
  groups: { rules: { alert: string; labels: { severity: string }; annotations: { runbook_url: string } }[] }[];
};
const wanted = new Map([
  ...alerts.map((alert) => [runbookOf(alert), { name: alert.alert, severity: alert.severity as string }] as const),
  ...federation.groups.flatMap(({ rules }) =>
    rules.map(({ alert, labels, annotations }) => {
      return [annotations.runbook_url, { name: alert, severity: labels.severity }] as const;
    }),
  ),
]);
const files = globSync("docs/runbooks/*.md", { cwd: root }).sort();

describe("the runbooks", () => {
  it("are one for each alert, and none for none", () => {
    assert.deepEqual(files, [...wanted.keys(), "docs/runbooks/README.md"].sort());
  });

  for (const [path, { name, severity }] of wanted) {
    it(`${name}: says what it means, how to find the cause, how to mend it, and whom to call`, () => {
      const text = readFileSync(join(root, path), "utf8");
      const word = severity === "page" ? "Page" : "Ticket";
      assert.ok(text.startsWith(`# ${name}\n\n*${word}.* `), "title and severity are the alert's");
      const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
      assert.deepEqual(headings, ["From the alert to the cause", "Mending", "Escalate"]);
      for (const part of text.split(/^## /m)) assert.ok(part.trim().split(/\s+/).length > 3, part);
      assert.ok(blocksOf(text).length > 0 || /\]\([a-z-]+\.md/.test(text), "something to type");
    });
  }

  for (const path of files) {
    it(`${path}: leads to pages and headings that exist`, () => {
      const text = readFileSync(join(root, path), "utf8");
      for (const [, target = "", anchor] of text.matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)) {
        const file = target ? join(root, dirname(path), target) : join(root, path);
        assert.ok(existsSync(file), target);
        if (!anchor) continue;
        const slugs = [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
          heading
            .toLowerCase()
            .replaceAll(/[^\w -]/g, "")
            .replaceAll(" ", "-"),
        );
        assert.ok(slugs.includes(anchor), `${target}#${anchor}`);
      }
    });

    it(`${path}: names what the charts install`, () => {
      const text = readFileSync(join(root, path), "utf8");
      for (const [, kind, name = ""] of text.matchAll(/\b(deploy|svc|job)\/ordermesh-([a-z-]+)/g)) {
        const service = kind === "job" ? name.replace(/-migration$/, "") : name;
        assert.ok(isService(service), `${kind}/ordermesh-${name}`);
      }
      for (const [, name = ""] of text.matchAll(/\bapp\.kubernetes\.io\/name=([a-z-]+)/g)) {
        assert.ok([...services, ...jobs, "alertmanager", "prometheus"].includes(name), name);
      }
    });

    it(`${path}: asks in PromQL and SQL, and calls what services have`, () => {
      const blocks = blocksOf(readFileSync(join(root, path), "utf8"));
      for (const { language, text } of blocks) {
        if (language === "promql") assert.ok(usedBy(text).selected.length > 0, text);
        if (language === "sql") assert.match(text, new RegExp(`^-- (postgres|${databaseServices.join("|")})\\n`), text);
        if (language === "sh") for (const call of text.matchAll(/grpcurl .*/g)) checkCall(call[0]);
      }
    });
  }
});

/** The method exists, and the body is one that it takes. */
function checkCall(line: string): void {
  const [, service = "", method = ""] = /((?:\w+\.)+\w+)\/(\w+)/.exec(line) ?? [];
  const description = registry.getService(service)?.methods.find(({ name }) => name === method);
  assert.ok(description, line);
  assert.ok(line.includes('-H "$ME" ') || accessOf(description)?.anyone, `${line}: shows no credential`);
  const [, body] = /-d '(\{.*?\})' /.exec(line) ?? [];
  if (!body) return;
  const json = JSON.parse(body.replaceAll(/'\$(order|return|notification)'/g, anOrder)) as JsonValue;
  const message = fromJson(description.input, json);
  const result = contractValidator().validate(description.input, message);
  assert.equal(result.kind, "valid", `${line}: ${result.error}`);
}
