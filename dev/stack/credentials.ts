import { type JsonWebKey, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newServiceKey } from "../../deploy/infrastructure/service-keys.ts";
import { type DatabaseService, databaseServices, type Service, services } from "../../services/services.ts";
import { type Connector, connectors } from "./layout.ts";

/** The passwords of the roles of one database. */
export interface RolePasswords {
  readonly runtime: string;
  readonly owner: string;
  readonly reader: string;
}

/** The secrets of one stack, made at its first start and kept beside its data. */
export interface Credentials {
  /** PostgreSQL's superuser. */
  readonly postgres: string;
  readonly roles: Readonly<Record<DatabaseService | Connector, RolePasswords>>;
  readonly pageTokenSecret: string;
  /** What Temporal keeps is encrypted with it: a key of its file. */
  readonly payloadKey: string;
  /** Personal data is sealed with it: a key of its file. */
  readonly personalKey: string;
  /** With it the Temporal UI of the stack has payloads shown. */
  readonly codecToken: string;
  /** What each service proves with that it is this one: an Ed25519 key, both halves. */
  readonly serviceKeys: Readonly<Record<Service, JsonWebKey>>;
  /** An API key with every role, for whoever develops. */
  readonly developmentKey: string;
}

/** Reads the secrets of the stack in this folder, and makes those that are missing: all, a new service's, or a new role's. */
export function credentialsIn(dataDirectory: string): Credentials {
  const file = credentialsFile(dataDirectory);
  const present = JSON.parse(readFile(file) ?? "{}") as Partial<Credentials>;
  const roles = [...databaseServices, ...connectors].map((service) => {
    const made = { runtime: secret(), owner: secret(), reader: secret() };
    return [service, { ...made, ...present.roles?.[service] }] as const;
  });
  const keys = services.map((service) => [service, present.serviceKeys?.[service] ?? newServiceKey()] as const);
  const complete: Credentials = {
    postgres: present.postgres ?? secret(),
    // Also those of a service that only another checkout knows.
    roles: { ...present.roles, ...(Object.fromEntries(roles) as Credentials["roles"]) },
    pageTokenSecret: present.pageTokenSecret ?? secret(),
    payloadKey: present.payloadKey ?? `local ${randomBytes(32).toString("base64")}`,
    personalKey: present.personalKey ?? `local ${randomBytes(32).toString("base64")}`,
    codecToken: present.codecToken ?? secret(),
    serviceKeys: { ...present.serviceKeys, ...(Object.fromEntries(keys) as Credentials["serviceKeys"]) },
    developmentKey: present.developmentKey ?? `ordermesh_key_${secret()}`,
  };
  const text = JSON.stringify(complete, null, 2);
  if (text !== JSON.stringify(present, null, 2)) writeFileSync(file, text, { mode: 0o600 });
  keepKeys(payloadKeysFile(dataDirectory), complete.payloadKey);
  keepKeys(personalKeysFile(dataDirectory), complete.personalKey);
  const line = `authorization: ${developerHeaders(complete).authorization}\n`;
  writeFileSync(authorizationFile(dataDirectory), line, { mode: 0o600 });
  return complete;
}

/** Whoever adds a key to the file keeps it. */
function keepKeys(file: string, key: string): void {
  if (readFile(file) === undefined) writeFileSync(file, `${key}\n`, { mode: 0o600 });
}

/** What whoever develops shows to a service: a credential with every role. */
export function developerHeaders({ developmentKey }: Pick<Credentials, "developmentKey">): { authorization: string } {
  return { authorization: `Bearer ${developmentKey}` };
}

/** The file in which the same stands as a line, for `grpcurl -H` and `curl -H`. */
export function authorizationFile(dataDirectory: string): string {
  return join(dataDirectory, "authorization");
}

/** The file of these secrets. */
export function credentialsFile(dataDirectory: string): string {
  return join(dataDirectory, "credentials.json");
}

/** The file of the keys with which the worker encrypts. */
export function payloadKeysFile(dataDirectory: string): string {
  return join(dataDirectory, "payload-keys");
}

/** The file of the master keys that seal personal data. */
export function personalKeysFile(dataDirectory: string): string {
  return join(dataDirectory, "personal-keys");
}

function readFile(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function secret(): string {
  return randomBytes(24).toString("base64url");
}
