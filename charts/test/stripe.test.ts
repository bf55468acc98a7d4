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

  it("let payments and the books in, and it out to Stripe", () => {
    assert.match(text("NetworkPolicy"), /"values":\["payments","books"\]/);
    assert.match(text("NetworkPolicy"), /"cidr":"0\.0\.0\.0\/0"/);
    assert.match(text("NetworkPolicy"), /"port":443/);
  });
});
