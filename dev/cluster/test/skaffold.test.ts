import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { withTestProfile } from "../mesh/skaffold.ts";

interface Config {
  readonly requires?: unknown;
  readonly profiles: readonly {
    name: string;
    build?: object;
    deploy: { helm: { flags: object; releases: object[] } };
  }[];
}

const text = readFileSync(join(root, "skaffold.yaml"), "utf8");
const read = (yaml: string) => parseAllDocuments(yaml, { merge: true }).map((document) => document.toJS() as Config);
const changed = withTestProfile(text, ["/tmp/values.json"]);

test("the profile of the cluster test is staging's, by another name and with other values", () => {
  const profiles = read(changed)[0]?.profiles ?? [];
  const [staging, own] = ["staging", "cluster-test"].map((name) => profiles.find((profile) => profile.name === name));
  assert.deepEqual(own?.deploy, {
    helm: {
      flags: staging?.deploy.helm.flags,
      releases: [{ ...staging?.deploy.helm.releases[0], name: "mesh", valuesFiles: ["/tmp/values.json"] }],
    },
  });
});

test("everything else of skaffold.yaml is as it was", () => {
  const without = read(changed).map((config) => ({
    ...config,
    profiles: config.profiles.filter(({ name }) => name !== "cluster-test"),
  }));
  assert.deepEqual(without, read(text));
});
