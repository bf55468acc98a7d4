// What somebody needs who installs a connector of the image, against what the pages and the infrastructure give him.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { root } from "../../deploy/command/checkout.ts";
import { wantedSecrets } from "../../deploy/infrastructure/secrets.ts";
import { steps } from "../../deploy/infrastructure/steps.ts";
import { connectors } from "../../services/services.ts";
import { type Resource, render } from "./charts.ts";

const namespace = "ordermesh";

/** The secrets that are in the mesh's namespace once the infrastructure is installed. */
function installed(): string[] {
  const made = wantedSecrets()
    .filter(({ secret, alsoIn }) => [secret.metadata.namespace, alsoIn].includes(namespace))
    .map(({ secret }) => secret.metadata.name);
  return [...made, ...steps.flatMap((step) => (step.kind === "copy" && step.to === namespace ? [step.secret] : []))];
}

/** Those that a page has somebody make. */
function madeBy(page: string): string[] {
  const text = readFileSync(join(root, "docs", page), "utf8");
  return [...text.matchAll(/kubectl -n ordermesh create secret \S+ (\S+)/g)].map(([, name = ""]) => name);
}

/** Those that pods name. */
function named(resources: readonly Resource[]): string[] {
  const text = JSON.stringify(resources.filter(({ kind }) => kind === "Deployment" || kind === "Job"));
  const ways = [
    /"secretName":"([^"]+)"/g,
    /"secretKeyRef":\{[^}]*"name":"([^"]+)"/g,
    /"imagePullSecrets":\[\{"name":"([^"]+)"/g,
  ];
  return [...new Set(ways.flatMap((way) => [...text.matchAll(way)].map(([, name = ""]) => name)))];
}

for (const connector of connectors) {
  describe(`the connector ${connector}`, () => {
    it("needs no secret that neither the infrastructure nor its page makes", async () => {
      const resources = await render("service", "-f", `deploy/values/${connector}.yaml`);
      const signed = resources
        .filter(({ kind }) => kind === "Certificate")
        .map(({ spec }) => (spec as { secretName: string }).secretName);
      const there = new Set([...installed(), ...signed, ...madeBy(`${connector}.md`), ...madeBy("kubernetes.md")]);
      const names = named(resources);
      assert.ok(names.includes(connector) && names.includes(`ordermesh-${connector}-database-owner`), names.join(", "));
      assert.deepEqual(
        names.filter((name) => !there.has(name)),
        [],
      );
    });
  });
}
