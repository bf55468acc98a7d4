import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { root } from "../../deploy/command/checkout.ts";
import { services } from "../../services/services.ts";
import { readValues } from "../values-comments.ts";
import { valuesSchema } from "../values-schema.ts";
import { template } from "./charts.ts";
import { renderWith } from "./larger-chart.ts";

const mistakes: readonly (readonly [string, RegExp])[] = [
  ["orders.replcas=3", /orders:\n- at '': additional properties 'replcas' not allowed/],
  ["global.image.tga=1", /at '\/global\/image': additional properties 'tga' not allowed/],
  ["oders.replicas=3", /at '': additional properties 'oders' not allowed/],
  ["worker.resources.requests.memroy=1Gi", /at '\/resources\/requests': additional properties 'memroy' not allowed/],
  ["orders.config.MAX_INFLIHGT=3", /at '\/orders\/config': additional properties 'MAX_INFLIHGT' not allowed/],
  ["orders.config.DATABASE_URL=postgres://a:b@c/d", /additional properties 'DATABASE_URL' not allowed/],
  ["orders.replicas=three", /at '\/replicas': got string, want integer/],
  ["global.logLevel=loud", /at '\/global\/logLevel': value must be one of 'error', 'warn', 'info', 'debug'/],
  ["global.image.digest=sha256:1", /at '\/global\/image\/digest': 'sha256:1' does not match pattern/],
  ["global.tracing.exporters=jager", /at '\/global\/tracing\/exporters': 'jager' does not match pattern/],
  ["worker.canary.enabled=true,worker.blueGreen.enabled=true", /worker: canary and blueGreen cannot both be enabled/],
  ["worker.versions.enabled=true", /worker: say which version is current \(versions.current\)/],
  [
    "worker.versions.enabled=true,worker.versions.current=b,worker.versions.draining[0].id=a",
    /worker: say with a tag or a digest which image version a runs/,
  ],
  ["orders.versions.enabled=true,orders.versions.current=b", /orders: versions are for a Temporal worker/],
  ["worker.versions.current=Two!", /at '\/versions\/current': 'Two!' does not match pattern/],
  ["orders.autoscaling.minReplicas=9", /orders: autoscaling.minReplicas \(9\) is more than .*maxReplicas \(6\)/],
  ["global.logLevle=info", /at '\/global\/logLevle': value must be 'nothing: logLevel is meant'/],
  [
    "global.image_pull_secrets={a}",
    /'\/global\/image_pull_secrets': value must be 'nothing: imagePullSecrets is meant'/,
  ],
  ["global.pods.tolerationss={a}", /at '\/global\/pods': additional properties 'tolerationss' not allowed/],
  ["test.nodeSelektor.disk=fast", /at '\/test': additional properties 'nodeSelektor' not allowed/],
  ["global.imagePullSecrets[0].nam=a", /at '\/global\/imagePullSecrets\/0'/],
  ["orders.enabled=false", /at '\/orders\/enabled': value must be true/],
  [
    "enabled=false",
    /enabled is false, but no chart above leaves it out: that takes `condition: ordermesh.enabled` there/,
  ],
  ["orders.program=payments", /at '\/orders\/program': value must be one of '', 'orders'/],
  ["orders.ports.http=50051", /orders: ports.grpc and ports.http are both 50051/],
  [
    "worker.calls[0].service=inventory,worker.calls[0].port=50051",
    /worker.calls says port 50051 for inventory, whose ports.grpc is 50053: leave it out/,
  ],
  [
    "orders.serviceAccount.name=shop,payments.serviceAccount.name=shop",
    /orders and payments would both make the account shop: switch serviceAccount.create off for one/,
  ],
  [
    "global.tls.enabled=true,global.credentials.certificates=true,payments.serviceAccount.create=false,shipping.serviceAccount.create=false",
    /payments and shipping have the same account, default, so that certificates cannot tell them apart/,
  ],
  [
    "global.tls.enabled=true,global.tls.http=tls,orders.ports.admin=8081",
    /orders: ports.admin is 8081, as another one is/,
  ],
  ["worker.calls[0].service=fraud", /worker: say at which port fraud is called \(calls\)/],
  ["orders.extraEnv[0].name=GRPC_PORT", /orders: extraEnv cannot say GRPC_PORT, which the chart does/],
  [
    "global.tls.enabled=true,orders.extraVolumes[0].name=tls",
    /orders: extraVolumes cannot say tls, which the chart does/,
  ],
  ["global.commonLabels.app\\.kubernetes\\.io/name=x", /global.commonLabels cannot say app.kubernetes.io\/name, which/],
  [
    "worker.versions.enabled=true,worker.versions.current=1-0,worker.versions.draining[0].id=1.0,worker.versions.draining[0].image.tag=old",
    /worker: versions 1-0 and 1.0 would both be called ordermesh-worker-1-0/,
  ],
  ["orders.autoscaling.cpuPercent=0", /orders: autoscaling needs cpuPercent or metrics/],
];

/** A map of values. */
type Values = Readonly<Record<string, unknown>>;

function valuesIn(chart: string): Values {
  return parse(readFileSync(join(root, "charts", chart, "values.yaml"), "utf8")) as Values;
}

const isMap = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;

/** The maps in these values, each with a key that nobody knows. @param places gets where they are, but for what charts share */
function withStrangers(values: Values, place: string, places: Set<string>): Values {
  if (place !== "/global") places.add(place);
  const inner = Object.entries(values).filter(([, value]) => isMap(value));
  const maps = inner.map(([name, value]) => [name, withStrangers(value as Values, `${place}/${name}`, places)]);
  return { ...Object.fromEntries(maps), ...(place === "/global" ? {} : { stranger: {} }) };
}

describe("the values", () => {
  for (const [mistake, sentence] of mistakes) {
    it(`refuse ${mistake} with a sentence`, async () => {
      await assert.rejects(template("ordermesh", "--set", mistake), sentence);
    });
  }

  it("refuse a key that is not ours in every map of ours, and say where it is", async () => {
    const places = new Set<string>();
    // What a service is told is closed by its own chart.
    const isOfMesh = ([name]: readonly [string, unknown]) => !services.some((service) => service === name);
    const mesh = Object.fromEntries(Object.entries(valuesIn("ordermesh")).filter(isOfMesh));
    const orders = withStrangers(valuesIn("service"), "", places);
    const values = { ...withStrangers(mesh, "", places), orders };
    const error = await renderWith("charts/ordermesh", "ordermesh", values).then(
      () => assert.fail("nothing was refused"),
      (refused: Error) => refused.message,
    );
    assert.ok(places.size > 50, `${places.size} maps`);
    const silent = [...places].filter((place) => !new RegExp(`at '${place}(/stranger)?'`).test(error));
    assert.deepEqual(silent, []);
  });

  it("of other charts are welcome where charts share theirs", async () => {
    const others = [
      "storageClass=fast",
      "defaultStorageClass=fast",
      "imagePullSecret=one",
      "images.registry=x",
      "security.allowInsecureImages=true",
      "postgresql.auth.password=x",
      "redis={a,b}",
      "hosts.domain=example.com",
      "networks=2",
    ];
    // The keys that the chart makes are others each time.
    const keys = ["--set", "global.temporal.payloads.keysSecret=keys,global.personal.keysSecret=keys"];
    const plain = await template("ordermesh", ...keys);
    const set = others.map((one) => `global.${one}`).join(",");
    assert.equal(await template("ordermesh", ...keys, "--set", set), plain);
  });

  it("that are alike for all services are documented alike in both charts", () => {
    const [service, mesh] = ["service", "ordermesh"].map((chart) => {
      const text = readFileSync(join(root, "charts", chart, "values.yaml"), "utf8");
      return text.slice(0, text.indexOf("\n\n"));
    });
    assert.ok((parse(service ?? "") as { global?: object }).global);
    assert.equal(
      mesh?.slice(0, mesh.indexOf("\n# The public face")),
      service?.slice(0, service.indexOf("\n# The program")),
    );
  });
});

describe("the generator of schemas", () => {
  const schemaOf = (text: string) => valuesSchema("some", readValues(text), {});

  it("takes the type of the default, the sentence above it, and what is said behind @schema", () => {
    const schema = schemaOf('# How many.\n# At most nine.\n# @schema {maximum: 9}\ncount: 3\ninner:\n  name: ""\n');
    assert.deepEqual(schema.properties, {
      count: { description: "How many. At most nine.", type: "integer", maximum: 9, default: 3 },
      inner: { type: "object", additionalProperties: false, properties: { name: { type: "string", default: "" } } },
    });
  });

  it("knows a slip of the hand from a name of somebody else", () => {
    const { network } = schemaOf("# @schema {$shared: true}\nnetwork:\n  someNames: x\n  tls: x\n  image: x\n")
      .properties as {
      network: { patternProperties: Readonly<Record<string, unknown>> };
    };
    const slips = Object.keys(network.patternProperties).map((pattern) => new RegExp(pattern));
    const isSlip = (name: string) => slips.some((slip) => slip.test(name));
    const meant = ["soemNames", "somNames", "somewNames", "soneNames", "somenames", "some_names", "SomeNames", "tsl"];
    assert.deepEqual(meant.filter(isSlip), meant);
    const others = ["someNames", "tls", "someName", "image", "images", "names", "dns", "tlsSecret", "storageClass"];
    assert.deepEqual(others.filter(isSlip), []);
  });

  it("does not take a comment that is not right above a key", () => {
    assert.deepEqual(schemaOf("# About nothing.\n\nname: x\n").properties, { name: { type: "string", default: "x" } });
  });

  for (const [text, sentence] of [
    ["list: []", "list: say what its items are"],
    ["map: {}", "map: say what it may hold"],
    ["nothing:", "nothing has a default without a type"],
  ] as const) {
    it(`refuses ${text}`, () => {
      assert.throws(() => schemaOf(text), { message: sentence });
    });
  }
});
