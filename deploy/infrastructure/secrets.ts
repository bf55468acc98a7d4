import { randomBytes } from "node:crypto";
import { databaseServices, services } from "../../services/services.ts";
import { newServiceKeys } from "./service-keys.ts";

/** A secret as it is applied, its values in plain text. */
export interface Secret {
  readonly apiVersion: "v1";
  readonly kind: "Secret";
  readonly type: "Opaque" | "kubernetes.io/basic-auth";
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Record<string, string> };
  readonly stringData: Readonly<Record<string, string>>;
}

/** A secret to be made, and where else it is needed. */
export interface WantedSecret {
  readonly secret: Secret;
  readonly alsoIn?: string;
}

/** 192 bits, of characters that need no quoting in a URL, a shell or YAML. */
function password(): string {
  return randomBytes(24).toString("hex");
}

/** A key of AES-256 by today's date, as the worker wants it to encrypt what Temporal keeps, and others to seal personal data. */
function keyOfToday(): string {
  return `${new Date().toISOString().slice(0, 10)} ${randomBytes(32).toString("base64")}\n`;
}

function basicAuth(name: string, username: string): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/basic-auth",
    // The operator sets the role's password again when such a secret changes.
    metadata: { name, namespace: "databases", labels: { "cnpg.io/reload": "true" } },
    stringData: { username, password: password() },
  };
}

function opaque(name: string, namespace: string, stringData: Record<string, string>): WantedSecret {
  return { secret: { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: { name, namespace }, stringData } };
}

/** As whom the services tell of events: they may make their stream and write to it, and read nothing. */
function eventsUser(): WantedSecret {
  const [username, secret] = ["ordermesh", password()];
  const calls = ["INFO", "STREAM.INFO.ordermesh", "STREAM.CREATE.ordermesh"].map((call) => `"$JS.API.${call}"`);
  const rights = `publish: ["ordermesh.>", ${calls.join(", ")}], subscribe: ["_INBOX.>"]`;
  return opaque("ordermesh-events", "events", {
    username,
    password: secret,
    "users.conf": `users: [{ user: "${username}", password: "${secret}", permissions: { ${rights} } }]\n`,
  });
}

/** Every secret that the installation needs, each with fresh random values. Those that exist are kept as they are. */
export function wantedSecrets(): WantedSecret[] {
  const databases = databaseServices.flatMap((service) => [
    { secret: basicAuth(`ordermesh-${service}-database`, service), alsoIn: "ordermesh" },
    { secret: basicAuth(`ordermesh-${service}-database-owner`, `${service}_owner`), alsoIn: "ordermesh" },
    { secret: basicAuth(`ordermesh-${service}-database-reader`, `${service}_reader`), alsoIn: "ordermesh" },
  ]);
  const tokens = services.map((service) =>
    opaque(`ordermesh-${service}`, "ordermesh", { "page-token-secret": password() }),
  );
  return [
    ...databases,
    { secret: basicAuth("temporal-database", "temporal"), alsoIn: "temporal" },
    { secret: basicAuth("ordermesh-metrics-database", "metrics"), alsoIn: "ordermesh" },
    ...tokens,
    opaque("ordermesh-worker-payload-keys", "ordermesh", { keys: keyOfToday() }),
    opaque("ordermesh-personal-keys", "ordermesh", { keys: keyOfToday() }),
    opaque("ordermesh-service-keys", "ordermesh", newServiceKeys()),
    opaque("valkey-users", "cache", { "users.acl": `user default on >${password()} ~* &* +@all -@dangerous\n` }),
    { ...eventsUser(), alsoIn: "ordermesh" },
    opaque("grafana-admin", "monitoring", { username: "admin", password: password() }),
  ];
}
