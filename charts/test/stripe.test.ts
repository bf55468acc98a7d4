// The connector to Stripe is the chart "service" with values of its own.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Resource, render } from "./charts.ts";

describe("the values of the connector to Stripe", () => {
  let resources: Resource[];
  before(async () => {
    resources = await render("service", "-f", "deploy/values/stripe.yaml");
  });
  const text = (kind: string) => JSON.stringify(resources.filter((resource) => resource.kind === kind));

  it("run its program, and its migrations before", () => {
    assert.match(text("Deployment"), /"args":\["stripe"\]/);
    assert.match(text("Job"), /"args":\["stripe","migrate","up"\]/);
  });

  it("have its key in a file, and nowhere else", () => {
    assert.match(text("Deployment"), /"mountPath":"\/etc\/ordermesh\/stripe"/);
    assert.match(text("ConfigMap"), /"STRIPE_SECRET_KEY_FILE":"\/etc\/ordermesh\/stripe\/secret-key"/);
    assert.doesNotMatch(JSON.stringify(resources), /"STRIPE_SECRET_KEY"/);
  });

  it("let the ingress that brings webhooks in by TLS to the HTTP port, and nowhere else", () => {
    const [policy] = resources.filter(
      ({ kind, metadata }) => kind === "NetworkPolicy" && !metadata.name.endsWith("-migration"),
    );
    assert.ok(policy);
    const { ingress } = policy.spec as { ingress: { from: unknown; ports: { port: number }[] }[] };
    const ways = ingress.filter(({ from }) => JSON.stringify(from).includes("ingress-nginx"));
    assert.deepEqual(
      ways.flatMap(({ ports }) => ports.map(({ port }) => port)),
      [8091],
    );
    assert.match(text("ConfigMap"), /"HTTP_TLS":"tls"/);
    assert.match(text("ConfigMap"), /"STRIPE_WEBHOOK_SECRETS_FILE":"\/etc\/ordermesh\/stripe\/webhook-secrets"/);
  });

  it("let payments and the books in, and it out to Stripe", () => {
    assert.match(text("NetworkPolicy"), /"values":\["payments","books"\]/);
    assert.match(text("NetworkPolicy"), /"cidr":"0\.0\.0\.0\/0"/);
    assert.match(text("NetworkPolicy"), /"port":443/);
  });
});
