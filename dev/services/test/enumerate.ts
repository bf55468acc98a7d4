// `node enumerate.ts`: what everything that enumerates services says of the last one in services.json, as JSON. Run by
// sixth-service.test.ts in a copy of this repository.
import { wantedSecrets } from "../../../deploy/infrastructure/secrets.ts";
import { hasDatabase, services } from "../../../services/services.ts";
import { meshValues } from "../../cluster/mesh/release.ts";
import { credentialsIn } from "../../stack/credentials.ts";
import { serviceEnvironment } from "../../stack/environment.ts";
import { components, portsAt, portsOf } from "../../stack/layout.ts";
import { migrationsProgram, serviceProgram } from "../../stack/programs.ts";
import { help } from "../../terminal/options.ts";
import { executeTiltfile } from "../../tilt/test/tilt.ts";
import { serversOf } from "../../verify/test/contract-fields.ts";

const [dataDirectory, ...packages] = process.argv.slice(2);
const service = services.at(-1);
if (!service || !dataDirectory) throw new Error("usage: enumerate.ts <data folder> <packages>");

const blueprint = {
  dataDirectory,
  ports: portsAt(0),
  credentials: credentialsIn(dataDirectory),
  logLevel: "warn",
  overrides: {},
  observers: [],
  replicas: 1,
  asksCallers: true,
  gateway: "simulated" as const,
  links: [],
  clocks: undefined,
};
const calls = await executeTiltfile("kind-test");
const resources = calls.filter(({ name, args }) => name === "k8s_resource" && String(args[0]).includes(service));

/** What is said, by who says it. */
export interface Enumerated {
  readonly components: readonly string[];
  readonly ports: readonly { port: number; use: string }[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What is migrated, by whose URL. */
  readonly migrations: string;
  readonly help: string;
  readonly secrets: readonly string[];
  readonly clusterValues: readonly string[];
  readonly servers: readonly (readonly string[])[];
  /** By the name that it has in Tilt, what it waits for. */
  readonly tilt: Readonly<Record<string, unknown>>;
  /** The ports that Tilt forwards. */
  readonly forwarded: readonly unknown[];
}

const enumerated: Enumerated = {
  components,
  ports: portsOf(service, portsAt(0)),
  command: serviceProgram(blueprint, service).args,
  environment: serviceEnvironment(blueprint, service),
  migrations: migrationsProgram(blueprint, hasDatabase(service) ? [service] : []).env.MIGRATION_URLS ?? "",
  help,
  secrets: wantedSecrets().map(({ secret }) => secret.metadata.name),
  clusterValues: Object.keys(meshValues("10.0.0.1")),
  servers: packages.map(serversOf),
  tilt: Object.fromEntries(resources.map(({ kwargs }) => [String(kwargs.new_name), kwargs.resource_deps])),
  forwarded: calls.filter(({ name }) => name === "port_forward").map(({ args }) => args[0]),
};
console.log(JSON.stringify(enumerated));
