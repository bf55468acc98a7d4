// Which service a certificate is of, by the names in it as Node writes them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ServiceCertificates } from "#platform/authorization/service-certificates.ts";
import { spiffeServicesSchema } from "#platform/spiffe-services.ts";

const worker = "spiffe://mesh.test/ns/shop/sa/mesh-worker";
const certificates = new ServiceCertificates({ [worker]: "worker", "spiffe://mesh.test/shipping": "shipping" });

describe("a certificate", () => {
  const good: readonly (readonly [string, string])[] = [
    [`URI:${worker}`, "worker"],
    [`DNS:worker, DNS:worker.shop.svc, URI:${worker}, IP Address:10.0.0.1`, "worker"],
    ["URI:spiffe://mesh.test/shipping", "shipping"],
    // What stands in quotes is one name, whatever is in it.
    [`DNS:"a, URI:spiffe://mesh.test/shipping", URI:${worker}`, "worker"],
  ];
  for (const [names, service] of good) {
    test(`with ${names} is of ${service}`, () => assert.deepEqual(certificates.judge(names), { service }));
  }

  const bad: readonly (readonly [string | undefined, RegExp])[] = [
    [undefined, /has no URI/],
    ["", /has no URI/],
    ["DNS:worker", /has no URI/],
    [`URI:${worker}, URI:spiffe://mesh.test/shipping`, /has 2 URIs/],
    [`URI:${worker}, URI:${worker}`, /has 2 URIs/],
    [`URI:${worker}, URI:https://worker.example`, /has 2 URIs/],
    ["URI:spiffe://other.test/ns/shop/sa/mesh-worker", /of the trust domain other.test, not of ours/],
    ["URI:spiffe://mesh.test/ns/shop/sa/payments", /sa\/payments, which is no service of ours/],
    [`URI:${worker}/`, /no SPIFFE ID/],
    [`URI:${worker}/..`, /no SPIFFE ID/],
    ["URI:spiffe://mesh.test/ns/../ns/shop/sa/mesh-worker", /no SPIFFE ID/],
    ["URI:SPIFFE://mesh.test/ns/shop/sa/mesh-worker", /no SPIFFE ID/],
    ["URI:spiffe://MESH.test/ns/shop/sa/mesh-worker", /no SPIFFE ID/],
    ["URI:spiffe://mesh.test:443/ns/shop/sa/mesh-worker", /no SPIFFE ID/],
    ["URI:spiffe://x@mesh.test/ns/shop/sa/mesh-worker", /no SPIFFE ID/],
    [`URI:${worker}?x=1`, /no SPIFFE ID/],
    ["URI:spiffe://mesh.test", /no SPIFFE ID/],
    ["URI:spiffe://mesh.test/%6es/shop/sa/mesh-worker", /no SPIFFE ID/],
    ["URI:https://mesh.test/ns/shop/sa/mesh-worker", /no SPIFFE ID/],
    // With a comma in it, Node puts it into quotes.
    [`URI:"${worker}\\u002c x"`, /no SPIFFE ID/],
    [`URI:"${worker}"`, /no SPIFFE ID/],
    [`DNS:"a, URI:${worker}"`, /has no URI/],
    [`DNS:"a, URI:${worker}`, /cannot be read/],
    [`URI:${worker}"`, /cannot be read/],
    [worker, /cannot be read|has no URI/],
  ];
  for (const [names, problem] of bad) {
    test(`with ${names} is of nobody`, () => {
      const { service, problem: said } = certificates.judge(names);
      assert.equal(service, undefined);
      assert.match(said ?? "", problem);
    });
  }
});

test("services are named by SPIFFE IDs alone", () => {
  for (const bad of [{}, { worker: "worker" }, { "spiffe://mesh.test/a b": "worker" }, { [worker]: "The Worker" }]) {
    assert.equal(spiffeServicesSchema.safeParse(bad).success, false, JSON.stringify(bad));
  }
  assert.equal(spiffeServicesSchema.safeParse({ [worker]: "worker" }).success, true);
});
