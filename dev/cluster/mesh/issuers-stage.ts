import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { serviceFacts } from "../../../services/services.ts";
import { newSigningKey, OidcIssuer } from "../../oidc/oidc-issuer.ts";
import { change, imagesOf, withoutMigrations } from "./change.ts";
import { eventually } from "./eventually.ts";
import { type Mesh, require, type Stage, servingPods } from "./mesh.ts";
import { callerKey, callerLabel, namespace, type Values } from "./release.ts";
import { type CallAnswer, type Shown, Visitor } from "./visitor.ts";

const audience = "ordermesh";
const account = "shop";
const list = "shop.inventory.v1.InventoryService/ListStockLevels";
const adjust = "shop.inventory.v1.InventoryService/AdjustStock";
/** Within what a key that an issuer no longer shows is forgotten: a minute for keys, and one for tokens that were proved before. */
const forgottenSeconds = 130;
/** Keys are older than this before they are fetched again, and a new one is looked for after so long; milliseconds. */
const staleMs = 65_000;
const cooldownMs = 6_000;
/** Within what RBAC is the same for everybody who asks the API server. */
const bindingSeconds = 30;
const groups = { shop: ["shop-warehouse"], reader: ["shop-audit"], hasty: ["shop-warehouse"], ada: ["shop-warehouse"] };

/** How the cluster's own tokens are signed, and where its API server is: of any cluster. */
interface ClusterIssuer {
  readonly issuer: string;
  readonly addresses: readonly string[];
  readonly port: number;
}

/** What callers of other teams have: tokens of their company's issuer, and of their pods' service accounts. */
export const issuersStage: Stage = {
  name: "tokens of a real OpenID provider and of service accounts: who may calls and is in the audit log, others are refused",
  async run(mesh) {
    const first = await newSigningKey("first");
    const clients = { shop: {}, reader: {}, hasty: { seconds: 1 } };
    const host = mesh.hostAddress;
    await using company = await OidcIssuer.start({ host, clients, groups }, [first]);
    await using stranger = await OidcIssuer.start({ host, clients, groups }, [first]);
    const cluster = await clusterIssuer(mesh);
    const { running } = await imagesOf(mesh);
    const accounts = [account, "neighbour"];
    const manifests = accounts.map((name) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace },
    }));
    await mesh.cluster.kubectl.apply(manifests);
    const seconds = await change(mesh, running, withoutMigrations, issuerValues(company, cluster));
    try {
      const said = await visit(mesh, { company, stranger });
      return `both issuers named in ${seconds} s; ${said.join("; ")}`;
    } finally {
      await mesh.cluster.kubectl.run(["-n", namespace, "delete", "serviceaccount", ...accounts]);
      await change(mesh, running, withoutMigrations);
    }
  },
};

/** The issuers as an operator names them: docs/identity.md has the same. */
export function issuerValues(company: Pick<OidcIssuer, "url">, cluster: ClusterIssuer): Values {
  const authority = "/etc/authorities/kubernetes";
  const known = {
    issuer: company.url,
    audience,
    rolesClaim: "groups.names",
    roles: { "shop-warehouse": "warehouse", "shop-audit": "auditor" },
  };
  const accounts = {
    issuer: cluster.issuer,
    keys: "https://kubernetes.default.svc/openid/v1/jwks",
    ca: `${authority}/ca.crt`,
    audience,
    type: "JWT",
    algorithms: ["RS256"],
    rolesClaim: "sub",
    roles: { [subjectOf(account)]: ["agent", "warehouse"] },
  };
  const addresses = [new URL(company.url).hostname, ...cluster.addresses];
  return {
    global: {
      credentials: { issuers: [known, accounts] },
      network: {
        issuers: addresses.map((address) => ({ ipBlock: { cidr: `${address}/32` } })),
        issuerPorts: [cluster.port],
      },
      pods: {
        extraVolumes: [{ name: "kubernetes-authority", configMap: { name: "kube-root-ca.crt" } }],
        extraVolumeMounts: [{ name: "kubernetes-authority", mountPath: authority, readOnly: true }],
      },
    },
  };
}

function subjectOf(name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

async function clusterIssuer({ cluster: { kubectl } }: Mesh): Promise<ClusterIssuer> {
  const said = await kubectl.run(["get", "--raw", "/.well-known/openid-configuration"]);
  const { items } = await kubectl.get<{
    items: { endpoints: { addresses: string[] }[]; ports: { port: number }[] }[];
  }>(["-n", "default", "endpointslices", "-l", "kubernetes.io/service-name=kubernetes"]);
  const addresses = items.flatMap(({ endpoints }) => endpoints.flatMap((endpoint) => endpoint.addresses));
  return { issuer: JSON.parse(said).issuer, addresses, port: items[0]?.ports[0]?.port ?? 443 };
}

interface Issuers {
  readonly company: OidcIssuer;
  readonly stranger: OidcIssuer;
}

async function visit(mesh: Mesh, issuers: Issuers): Promise<string[]> {
  const { kubectl } = mesh.cluster;
  const { image } = mesh;
  const plan = { image, labels: callerLabel, audiences: [audience, "payroll"] };
  await using shop = await Visitor.start(kubectl, { ...plan, name: "shop", account });
  await using neighbour = await Visitor.start(kubectl, { ...plan, name: "neighbour", account: "neighbour" });
  const inventory = await Inventory.of(mesh, shop);
  return [
    await provedByCompany(inventory, issuers),
    await provedByAccount(mesh, inventory, neighbour),
    await refusals(inventory, issuers),
    await whileAway(inventory, issuers),
    await rotated(inventory, issuers),
  ];
}

/** Each pod of inventory, as a visitor calls it: each has keys and a memory of its own. */
class Inventory {
  readonly #visitor: Visitor;
  readonly #addresses: readonly string[];

  private constructor(visitor: Visitor, addresses: readonly string[]) {
    this.#visitor = visitor;
    this.#addresses = addresses;
  }

  static async of(mesh: Mesh, visitor: Visitor): Promise<Inventory> {
    const pods = (await servingPods(mesh)).filter(
      ({ metadata }) => metadata.labels["app.kubernetes.io/name"] === "inventory",
    );
    return new Inventory(
      visitor,
      pods.map(({ status }) => `${status.podIP}:${serviceFacts.inventory.http}`),
    );
  }

  /** The same pods, called by somebody else. */
  by(visitor: Visitor): Inventory {
    return new Inventory(visitor, this.#addresses);
  }

  call(method: string, request: object, shown: Shown): Promise<CallAnswer[]> {
    return this.#visitor.call(this.#addresses, method, request, shown);
  }

  /** @throws ClusterError unless every pod serves it, and the audit log names the subject that did it */
  async requireServed(subject: string, shown: Shown): Promise<void> {
    const stock = { sku: "espresso-cup", locationId: "berlin", delta: 1, reason: "a test" };
    const answers = await this.call(adjust, { requestId: randomUUID(), ...stock }, shown);
    const served = answers.every(({ status }) => status === 200);
    require(served, `a call of ${subject} ended with ${JSON.stringify(answers)}`);
    const events = await this.call(
      "shop.audit.v1.AuditService/ListAuditEvents",
      { actor: subject },
      { text: callerKey },
    );
    const found = events.every(({ body }) => ((body as { events?: unknown[] }).events ?? []).length > 0);
    require(found, `no event of ${subject} in the audit log: ${JSON.stringify(events)}`);
  }

  /** @throws ClusterError unless every pod refuses it for this reason, which may end with a cause */
  async requireRefused(who: string, reason: string, shown: Shown, method = list): Promise<string> {
    const request =
      method === list ? {} : { requestId: randomUUID(), sku: "cup", locationId: "berlin", delta: 1, reason: "x" };
    const answers = await this.call(method, request, shown);
    const said = answers.map((answer) => `${answer.status} ${`${answer.reason} ${answer.cause}`.trim()}`);
    require(said.every((text) => text === reason), `${who} got ${said.join(", ")}`);
    return who;
  }
}

async function provedByCompany(inventory: Inventory, { company }: Issuers): Promise<string> {
  await inventory.requireServed("shop", { text: await company.token("shop") });
  const { accessToken } = await company.logIn("ada");
  await inventory.requireServed("ada", { text: accessToken });
  return "a program and a person of the provider served, and named in the audit log";
}

/** The cluster shows its keys to those whom it knows, or to everybody, who has nothing to show: the operator decides. */
async function provedByAccount({ cluster }: Mesh, inventory: Inventory, neighbour: Visitor): Promise<string> {
  const { kubectl } = cluster;
  const own: Shown = { audience };
  await inventory.requireRefused("an account before its cluster shows its keys", "503 UNAVAILABLE", own);
  const name = "ordermesh-test-issuer-discovery";
  const binding = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: {
      apiGroup: "rbac.authorization.k8s.io",
      kind: "ClusterRole",
      name: "system:service-account-issuer-discovery",
    },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:unauthenticated" }],
  };
  await kubectl.apply([binding]);
  try {
    await eventually({
      what: "a call by an account whose cluster shows its keys",
      seconds: bindingSeconds,
      ask: () => inventory.call(list, {}, own),
      is: (answers) => answers.every(({ status }) => status === 200),
    });
    await inventory.requireServed(subjectOf(account), own);
    const refused = [
      await inventory.requireRefused("its token for another audience", "401 CREDENTIAL_REFUSED invalid", {
        audience: "payroll",
      }),
      await inventory.by(neighbour).requireRefused("an account without a role", "403 NOT_PERMITTED", own),
    ];
    return `a pod by its account served, and named in the audit log; refused: ${refused.join(", ")}`;
  } finally {
    await kubectl.run(["delete", "clusterrolebinding", name]);
  }
}

async function refusals(inventory: Inventory, { company, stranger }: Issuers): Promise<string> {
  const hasty = await company.token("hasty");
  const { idToken } = await company.logIn("ada");
  const invalid = "401 CREDENTIAL_REFUSED invalid";
  const refused = [
    await inventory.requireRefused("no credential", "401 CREDENTIAL_MISSING", undefined),
    await inventory.requireRefused("an issuer that nobody named", invalid, { text: await stranger.token("shop") }),
    await inventory.requireRefused("another audience", invalid, { text: await company.token("shop", "payroll") }),
    await inventory.requireRefused("an ID token", invalid, { text: idToken }),
    await inventory.requireRefused(
      "another role",
      "403 NOT_PERMITTED",
      { text: await company.token("reader") },
      adjust,
    ),
  ];
  // Clocks may differ by five seconds.
  await pause(cooldownMs + 1_500);
  refused.push(
    await inventory.requireRefused("a token that has expired", "401 CREDENTIAL_REFUSED expired", { text: hasty }),
  );
  const [{ challenge = "" } = {}] = await inventory.call(list, {}, { text: hasty });
  require(challenge === 'Bearer error="invalid_token"', `OAuth's clients are told: ${challenge}`);
  return `refused: ${refused.join(", ")}`;
}

/** Tokens that nobody has seen yet, with keys that are older than they are used without being fetched again. */
async function whileAway(inventory: Inventory, { company }: Issuers): Promise<string> {
  const text = await company.token("shop");
  company.answer = (_, response) => response.writeHead(503).end();
  await pause(staleMs);
  await inventory.requireServed("shop", { text });
  company.answer = undefined;
  return `the provider away for ${staleMs / 1_000} s: its last keys served`;
}

async function rotated(inventory: Inventory, { company }: Issuers): Promise<string> {
  const [second, third] = [await newSigningKey("second"), await newSigningKey("third")];
  company.signWith([second]);
  await pause(cooldownMs);
  await inventory.requireServed("shop", { text: await company.token("shop") });
  const old = await company.token("shop");
  await inventory.requireServed("shop", { text: old });
  company.signWith([third]);
  const start = performance.now();
  const answers = await eventually({
    what: "the refusal of a token of a key that was taken away",
    seconds: forgottenSeconds,
    ask: () => inventory.call(list, {}, { text: old }),
    is: (all) => all.every(({ status, reason }) => status === 401 && reason === "CREDENTIAL_REFUSED"),
  });
  const seconds = Math.round((performance.now() - start) / 1_000);
  await inventory.requireServed("shop", { text: await company.token("shop") });
  return `a new key taken within ${cooldownMs / 1_000} s; a token of the one before refused by ${answers.length} pods ${seconds} s after it was taken away`;
}
