// The connector to EasyPost is the chart "service" with values of its own.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Resource, render } from "./charts.ts";

describe("the values of the connector to EasyPost", () => {
  let resources: Resource[];
  before(async () => {
    resources = await render("service", "-f", "deploy/values/easypost.yaml");
  });
  const text = (kind: string) => JSON.stringify(resources.filter((resource) => resource.kind === kind));

  it("run its program, and its migrations before", () => {
    assert.match(text("Deployment"), /"args":\["easypost"\]/);
    assert.match(text("Job"), /"args":\["easypost","migrate","up"\]/);
  });

  it("have its key in a file, and nowhere else", () => {
    assert.match(text("Deployment"), /"mountPath":"\/etc\/ordermesh\/easypost"/);
    assert.match(text("ConfigMap"), /"EASYPOST_API_KEY_FILE":"\/etc\/ordermesh\/easypost\/api-key"/);
    assert.doesNotMatch(JSON.stringify(resources), /"EASYPOST_API_KEY"/);
  });

  it("let the ingress that brings webhooks in by TLS to the HTTP port, and nowhere else", () => {
    const [policy] = resources.filter(
      ({ kind, metadata }) => kind === "NetworkPolicy" && !metadata.name.endsWith("-migration"),
    );
    assert.ok(policy);
    const { ingress, egress } = policy.spec as Record<
      string,
      { from: unknown; to: unknown; ports: { port: number }[] }[]
    >;
    const ways = ingress?.filter(({ from }) => JSON.stringify(from ?? []).includes("ingress-nginx")) ?? [];
    assert.deepEqual(
      ways.flatMap(({ ports }) => ports.map(({ port }) => port)),
      [8092],
    );
    assert.ok(
      egress?.some(({ to, ports }) => JSON.stringify(to ?? []).includes("shipping") && ports[0]?.port === 50_054),
    );
    assert.match(text("ConfigMap"), /"HTTP_TLS":"tls"/);
    assert.match(text("ConfigMap"), /"EASYPOST_WEBHOOK_SECRETS_FILE":"\/etc\/ordermesh\/easypost\/webhook-secrets"/);
  });

  it("let shipping and the books in, and it out to EasyPost", () => {
    assert.match(text("NetworkPolicy"), /"values":\["shipping","books"\]/);
    assert.match(text("NetworkPolicy"), /"cidr":"0\.0\.0\.0\/0"/);
    assert.match(text("NetworkPolicy"), /"port":443/);
  });
});
