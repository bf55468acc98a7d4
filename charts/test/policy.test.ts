import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databaseServices, serviceFacts, services } from "../../services/services.ts";
import { configOf } from "../service-config.ts";
import { environmentArgs, environments, named, ofKind, type Resource, render, valuesOf } from "./charts.ts";
import { edgesIn, policiesFor, waysOut } from "./network.ts";
import { type Container, type Pod, type Probe, podsOf } from "./pods.ts";

const variants: readonly (readonly [string, readonly string[]])[] = [
  ["the defaults", []],
  ...environments.map((name): readonly [string, string[]] => [name, environmentArgs(name)]),
  ["a canary", ["--set", "orders.canary.enabled=true,orders.canary.image.tag=next"]],
  [
    "two versions of the worker",
    [
      "--set",
      "worker.versions.enabled=true,worker.versions.current=b,worker.versions.draining[0].id=a,worker.versions.draining[0].image.tag=old",
    ],
  ],
  ["blue and green", ["--set", "payments.blueGreen.enabled=true,payments.blueGreen.image.tag=next"]],
];

/** Those that production has. */
const ours = services.filter((service) => !serviceFacts[service].outside);
const ownDatabases = databaseServices.filter((service) => ours.includes(service));

/** Pod Security "restricted": https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
function requireRestricted({ spec }: Pod): void {
  assert.deepEqual([spec.hostNetwork, spec.hostPID, spec.hostIPC], [undefined, undefined, undefined]);
  assert.equal(spec.securityContext.runAsNonRoot, true);
  assert.ok(spec.securityContext.runAsUser >= 1, "a user by number, not root");
  assert.equal(spec.securityContext.seccompProfile.type, "RuntimeDefault");
  assert.ok(spec.volumes?.every(({ hostPath }) => hostPath === undefined) ?? true);
  for (const { securityContext } of spec.containers) {
    assert.equal(securityContext.privileged, undefined);
    assert.equal(securityContext.allowPrivilegeEscalation, false);
    assert.deepEqual(securityContext.capabilities, { drop: ["ALL"] });
  }
}

/** What we ask for beyond. */
function requireOurs({ spec }: Pod): void {
  assert.equal(spec.automountServiceAccountToken, false);
  assert.equal(spec.enableServiceLinks, false);
  for (const container of spec.containers) {
    assert.equal(container.securityContext.readOnlyRootFilesystem, true);
    assert.ok(container.resources.requests.cpu && container.resources.requests.memory);
    assert.ok(container.resources.limits.memory);
    requireNoSecretValues(container);
  }
}

function requireNoSecretValues({ env = [] }: Container): void {
  for (const { name, value, valueFrom } of env) {
    if (name.startsWith("TEMPORAL_") || /^(?:PERSONAL_DATA_KEYS|EVENTS_NATS_PASSWORD)_FILE$/.test(name)) continue;
    if (value === undefined) assert.ok(valueFrom?.secretKeyRef?.name && valueFrom.secretKeyRef.key, name);
    else
      assert.match(
        value,
        /^postgres:\/\/\$\((?:[A-Z]+_)?DATABASE_USERNAME\):\$\((?:[A-Z]+_)?DATABASE_PASSWORD\)@/,
        name,
      );
  }
}

/** Over gRPC; beside it where it speaks TLS, which the kubelet does not. */
function requireProbes({ spec }: Pod): void {
  const [container] = spec.containers;
  const portOf = (wanted: string) => container?.ports?.find(({ name }) => name === wanted)?.containerPort;
  const tls = spec.volumes?.some(({ name }) => name === "tls");
  const http = (path: string) => ({ httpGet: { port: portOf("http"), path } });
  const [grpc, alive, ready] = [portOf("grpc"), http("/healthz"), http("/readyz")];
  const question = ({ grpc, httpGet }: Probe) => (grpc ? { grpc } : { httpGet });
  assert.deepEqual(
    [container?.startupProbe, container?.livenessProbe, container?.readinessProbe].map(
      (probe) => probe && question(probe),
    ),
    tls
      ? [alive, alive, ready]
      : [
          { grpc: { port: grpc, service: "liveness" } },
          { grpc: { port: grpc, service: "liveness" } },
          { grpc: { port: grpc } },
        ],
  );
}

function requireGrace({ spec }: Pod, config: Resource): void {
  const [container] = spec.containers;
  const pause = container?.lifecycle?.preStop.sleep.seconds ?? 0;
  const drainMs = Number(config.data?.DRAIN_TIMEOUT_MS);
  // The platform gives each of what it closes five seconds: background work, spans, the database.
  assert.ok((spec.terminationGracePeriodSeconds ?? 0) * 1_000 >= pause * 1_000 + drainMs + 10_000);
}

for (const [what, args] of variants) {
  describe(`every pod of ${what}`, () => {
    it("is restricted, has no token, and is closed to the network", async () => {
      const resources = await render("ordermesh", ...args);
      const pods = podsOf(resources);
      assert.ok(pods.length >= ours.length + ownDatabases.length, `${pods.length} pods`);
      for (const pod of pods) {
        requireRestricted(pod);
        requireOurs(pod);
        const types = policiesFor(pod, resources).flatMap(({ policyTypes }) => policyTypes);
        assert.ok(types.includes("Ingress") && types.includes("Egress"), pod.from);
      }
    });

    it("that serves has its probes, its time to end, its account, and what it asks for exists", async () => {
      const resources = await render("ordermesh", ...args);
      const serving = podsOf(resources).filter(({ kind }) => kind === "Deployment");
      for (const pod of serving) {
        const config = pod.spec.containers[0]?.envFrom?.[0]?.configMapRef.name ?? "";
        requireProbes(pod);
        requireGrace(pod, named(resources, "ConfigMap", config));
        named(resources, "ServiceAccount", pod.spec.serviceAccountName ?? "");
        assert.deepEqual(
          pod.spec.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey),
          ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
        );
        for (const kind of ["Service", "NetworkPolicy", "PodDisruptionBudget"]) named(resources, kind, config);
      }
    });
  });
}

describe("a pod's checksum", () => {
  const checksumOf = async (service: string, ...args: string[]) => {
    const resources = await render("ordermesh", ...args);
    const { template } = named(resources, "Deployment", `ordermesh-${service}`).spec as { template: Resource };
    return template.metadata.annotations?.["checksum/config"];
  };

  it("changes with the service's configuration, and only then", async () => {
    const other = ["--set", "orders.config.MAX_INFLIGHT=5"];
    assert.match((await checksumOf("orders")) ?? "", /^[0-9a-f]{64}$/);
    assert.notEqual(await checksumOf("orders"), await checksumOf("orders", ...other));
    assert.equal(await checksumOf("payments"), await checksumOf("payments", ...other));
  });
});

const edges = [
  "books>simulators:grpc",
  "inventory>orders:grpc",
  "notifications>orders:grpc",
  "orders>worker:grpc",
  "payments>simulators:grpc",
  "shipping>orders:grpc",
  "shipping>simulators:grpc",
  "shipping>worker:grpc",
  "simulators>shipping:grpc",
  "test>inventory:grpc",
  "test>orders:grpc",
  "worker>inventory:grpc",
  "worker>orders:grpc",
  "worker>payments:grpc",
  "worker>shipping:grpc",
];

/** Every service asks identity for tokens of keys, and fetches its keys. */
const identityEdges = services
  .filter((service) => service !== "identity")
  .flatMap((service) => [`${service}>identity:grpc`, `${service}>identity:http`]);

describe("who calls", () => {
  const issuersOf = (resources: readonly Resource[]) =>
    services.map((service) => named(resources, "ConfigMap", `ordermesh-${service}`).data?.TOKEN_ISSUERS ?? "");
  const keys = "http://ordermesh-identity:8086/.well-known/jwks.json";

  it("is asked by every service, which takes the word of the mesh's own identity", async () => {
    const resources = await render("ordermesh");
    const own = { audience: "ordermesh", issuer: "http://ordermesh-identity:8086", keys };
    for (const service of services) {
      const { data } = named(resources, "ConfigMap", `ordermesh-${service}`);
      const asks = service !== "identity";
      assert.equal(data?.TOKEN_ISSUERS, asks ? JSON.stringify([own]) : "none");
      assert.equal(data?.IDENTITY_ADDRESS, asks ? "dns:///ordermesh-identity-headless:50056" : undefined);
      assert.equal(data?.TOKEN_ISSUER, asks ? undefined : own.issuer);
    }
  });

  it("is asked of other issuers besides, and identity may have a name outside", async () => {
    const other = { issuer: "https://login.example.com", audience: "mesh" };
    const besides = ["--set-json", `global.credentials.issuers=[${JSON.stringify(other)}]`];
    const outside = ["--set", "global.credentials.issuer=https://identity.example.com"];
    const resources = await render("ordermesh", ...besides, ...outside);
    const own = { audience: "ordermesh", issuer: "https://identity.example.com", keys };
    assert.deepEqual(JSON.parse(issuersOf(resources)[0] ?? ""), [own, other]);
    assert.equal(named(resources, "ConfigMap", "ordermesh-identity").data?.TOKEN_ISSUER, own.issuer);
  });

  it("is not asked by a service alone that is told of nobody to believe: it is not installed", async () => {
    await assert.rejects(render("service", "--set", "program=orders"), /nobody whose tokens are taken/);
  });

  it("is asked by nobody on the way there, and where that is disabled", async () => {
    for (const mode of ["permissive", "disabled"]) {
      const said = issuersOf(await render("ordermesh", "--set", `global.credentials.mode=${mode}`));
      assert.deepEqual([...new Set(said)], ["none"]);
    }
  });
});

describe("the network", () => {
  it("has exactly the edges that exist", async () => {
    assert.deepEqual(edgesIn(await render("ordermesh")), [...edges, ...identityEdges].sort());
  });

  it("has an edge for every address that a program reads, and no other", async () => {
    const read = await Promise.all(services.map(async (service) => [service, await configOf(service)] as const));
    const wanted = read.flatMap(([from, config]) =>
      Object.keys(config).flatMap((name) => {
        const [, said] = /^(\w+)_ADDRESS$/.exec(name) ?? [];
        const to = said?.endsWith("_CONNECTOR") ? "simulators" : said?.toLowerCase();
        return to && to !== "temporal" ? [`${from}>${to}:grpc`] : [];
      }),
    );
    assert.deepEqual(
      [...new Set(wanted)].sort(),
      edges.filter((edge) => !/^(test|books)>/.test(edge)),
    );
  });

  it("leads nobody to identity where nobody is asked who calls", async () => {
    for (const mode of ["permissive", "disabled"]) {
      assert.deepEqual(edgesIn(await render("ordermesh", "--set", `global.credentials.mode=${mode}`)), edges);
    }
  });

  it("leaves the release only for names, databases, Temporal, events, mails, traces and endpoints of webhooks", async () => {
    const resources = await render("ordermesh", ...environmentArgs("production"));
    const ways = new Map(podsOf(resources).map((pod) => [pod.from, waysOut(pod, resources)]));
    const [dns, database] = ["kube-system:53", "databases:5432"];
    const [temporal, events, traces] = ["temporal:7233", "events:4222", "tracing:14268"];
    const anywhere: Readonly<Record<string, string>> = { payments: "50061", shipping: "50062" };
    for (const service of ownDatabases) {
      const outside = service === "webhooks" ? ["443", "8443"].map((port) => `0.0.0.0/0:2000::/3:${port}`) : [];
      const connector = anywhere[service] ? [anywhere[service]] : [];
      const mail = ["notifications", "identity"].includes(service) ? ["mail:587"] : [];
      const own = [...outside, ...connector, database, events, dns, ...mail, traces];
      assert.deepEqual(ways.get(`Deployment ordermesh-${service}`), own);
      assert.deepEqual(ways.get(`Job ordermesh-${service}-migration`), [database, dns]);
    }
    assert.deepEqual(ways.get("Deployment ordermesh-worker"), [dns, temporal, traces]);
    // The Pushgateway is in the release's namespace.
    assert.deepEqual(ways.get("CronJob ordermesh-books"), ["50061", "50062", database, dns]);
  });

  it("leads to a connector alone when it is said where that runs", async () => {
    const shop = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } } };
    for (const [connector, port, callers] of [
      ["gateway", 50061, /^Deployment ordermesh-payments$|^CronJob/],
      ["carrier", 50062, /^Deployment ordermesh-shipping$|^CronJob/],
      ["warehouse", 50063, /^Deployment ordermesh-shipping$/],
    ] as const) {
      const said = ["--set", `global.connectors.${connector}.address=${connector}.shop:${port}`];
      const peers = ["--set-json", `global.connectors.${connector}.peers=${JSON.stringify([shop])}`];
      const resources = await render("ordermesh", ...environmentArgs("production"), ...said, ...peers);
      for (const pod of podsOf(resources)) {
        assert.equal(waysOut(pod, resources).includes(`shop:${port}`), callers.test(pod.from), pod.from);
      }
    }
  });

  it("is not made where nobody says which gateway moves the money, and which carrier the parcels", async () => {
    const gateway = /say by which connector payments reaches the card gateway \(global\.connectors\.gateway\.address\)/;
    const carrier = /say by which connector shipping reaches the carrier \(global\.connectors\.carrier\.address\)/;
    const at = (connector: string) => ["--set", `global.connectors.${connector}.address=there.shop:1`];
    for (const args of [
      ["-f", valuesOf("production")],
      ["--set", "simulators.enabled=false"],
    ]) {
      await assert.rejects(render("ordermesh", ...args, ...at("carrier")), gateway);
      await assert.rejects(render("ordermesh", ...args, ...at("gateway")), carrier);
    }
  });

  it("has nothing in production that is simulated, or knows where that would be", async () => {
    for (const more of [[], ["--set", "global.connectors.warehouse.address=warehouse.shop:50063"]]) {
      const resources = await render("ordermesh", ...environmentArgs("production"), ...more);
      for (const [name, connectors] of [
        ["payments", { GATEWAY_CONNECTOR_ADDRESS: "gateway.shop:50061" }],
        ["shipping", { CARRIER_CONNECTOR_ADDRESS: "carrier.shop:50062" }],
        ["books", { GATEWAY_CONNECTOR_ADDRESS: "gateway.shop:50061", CARRIER_CONNECTOR_ADDRESS: "carrier.shop:50062" }],
      ] as const) {
        assert.partialDeepStrictEqual(named(resources, "ConfigMap", `ordermesh-${name}`).data, connectors);
      }
      const { data } = named(resources, "ConfigMap", "ordermesh-shipping");
      assert.equal(data?.WAREHOUSE, more.length === 0 ? "people" : "connector");
      assert.doesNotMatch(JSON.stringify(resources), /simulat/i);
    }
  });

  it("has people pack where they are said to, whoever else could", async () => {
    const { data } = named(
      await render("ordermesh", "--set", "shipping.config.WAREHOUSE=people"),
      "ConfigMap",
      "ordermesh-shipping",
    );
    assert.equal(data?.WAREHOUSE, "people");
  });

  it("tells nobody by mail where no mail server is named, and does not pretend to", async () => {
    for (const name of ["config.MAIL_SERVER_URL", "config.MAIL_FROM"]) {
      const said = /say by which mail server customers are told \(notifications\.config\.MAIL_SERVER_URL\)/;
      await assert.rejects(render("ordermesh", "--set", `notifications.${name}=`), said);
    }
    const resources = await render("ordermesh", "--set", "notifications.enabled=false");
    assert.ok(resources.every(({ metadata }) => !metadata.name.includes("notifications")));
  });

  it("leads endpoints' requests to nobody who is not public", async () => {
    const resources = await render("ordermesh", ...environmentArgs("production"));
    const { spec } = named(resources, "NetworkPolicy", "ordermesh-webhooks") as {
      spec: { egress: { to?: { ipBlock?: { cidr: string; except?: string[] } }[] }[] };
    };
    const blocks = spec.egress.flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? []));
    assert.deepEqual(
      blocks.map(({ cidr }) => cidr),
      ["0.0.0.0/0", "2000::/3"],
    );
    for (const inside of ["10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"])
      assert.ok(blocks[0]?.except?.includes(inside));
  });

  it("leads them to the networks besides that the process may send to", async () => {
    const networks = "webhooks.config.WEBHOOK_NETWORKS=10.1.0.0/16\\, 192.168.7.9\\,fd00::7";
    const resources = await render("ordermesh", ...environmentArgs("production"), "--set-string", networks);
    const { spec } = named(resources, "NetworkPolicy", "ordermesh-webhooks") as {
      spec: { egress: { to?: { ipBlock?: { cidr: string } }[] }[] };
    };
    const said = spec.egress.flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock?.cidr ?? []));
    assert.deepEqual(said.slice(2), ["10.1.0.0/16", "192.168.7.9/32", "fd00::7/128"]);
  });

  it("tells no endpoints where nobody says where the events are, and does not pretend to", async () => {
    const said = /say where the events are that endpoints are told of \(global\.events\.servers\)/;
    await assert.rejects(render("ordermesh", "--set", "global.events.servers="), said);
    const resources = await render("ordermesh", "--set", "webhooks.enabled=false");
    assert.ok(resources.every(({ metadata }) => !metadata.name.includes("webhooks")));
  });

  it("lets the books go to the Pushgateway, which lets them in by their label, and nobody else", async () => {
    const resources = await render("ordermesh", ...environmentArgs("production"));
    const { spec } = named(resources, "NetworkPolicy", "ordermesh-books") as { spec: { egress: object[] } };
    const pushgateway = { podSelector: { matchLabels: { "app.kubernetes.io/name": "pushgateway" } } };
    assert.deepEqual(spec.egress.at(-1), { to: [pushgateway], ports: [{ protocol: "TCP", port: 9091 }] });
    const pushing = podsOf(resources).filter(({ labels }) => labels["ordermesh.io/pushes-metrics"] === "true");
    assert.deepEqual(
      pushing.map(({ from }) => from),
      ["CronJob ordermesh-books"],
    );
  });

  it("is open when it is told to be", async () => {
    const resources = await render("ordermesh", "--set", "global.network.enabled=false");
    assert.deepEqual(ofKind(resources, "NetworkPolicy"), []);
  });
});
