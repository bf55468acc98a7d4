// The places that name services and cannot read services.json, and what is wrong in each.
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { connectors, jobs, type ServiceFacts } from "../../../services/services.ts";

/** A service by name, with what services.json says of it. */
export type Known = ServiceFacts & { readonly name: string };

/** What is looked at. */
export interface Checkout {
  readonly root: string;
  /** In the order of services.json. */
  readonly services: readonly Known[];
}

/** A place that names services. */
export interface Place {
  /** Its file or folder. */
  readonly path: string;
  /** Each mistake as a sentence that says what to do. */
  readonly mistakes: (checkout: Checkout) => string[];
}

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

interface Release {
  readonly ports?: { readonly grpc: number; readonly http: number };
  readonly database?: { readonly enabled?: boolean };
  readonly temporal?: { readonly enabled?: boolean };
}

const accounted = ({ services }: Checkout) => services.filter(({ books }) => books);
const withDatabase = ({ services }: Checkout) => services.filter(({ database }) => database);
/** What stands for the world outside is no part of what is described as the product. */
const described = (checkout: Checkout) => withDatabase(checkout).filter(({ outside }) => !outside);
const audited = ({ services }: Checkout) => services.filter(({ packages }) => packages.includes("shop.audit.v1"));
const namesOf = (services: readonly Known[]) => services.map(({ name }) => name);
const textOf = ({ root }: Checkout, path: string) => readFileSync(join(root, path), "utf8").replaceAll(/\s+/g, " ");
const rawTextOf = ({ root }: Checkout, path: string) => readFileSync(join(root, path), "utf8");
const resourcesOf = (checkout: Checkout, path: string) =>
  parseAllDocuments(rawTextOf(checkout, path)).map((document) => document.toJS() as Resource);
const quoted = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(", ");

function unless(right: boolean, mistake: string): string[] {
  return right ? [] : [mistake];
}

/** `orders, payments, inventory and shipping` */
function sentence(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A text that must have some words; they are compared without regard to line ends. */
function says(path: string, words: (checkout: Checkout) => readonly string[]): Place {
  const mistakes = (checkout: Checkout) => {
    const text = textOf(checkout, path).toLowerCase();
    return words(checkout)
      .filter((wanted) => !text.includes(wanted.toLowerCase()))
      .map((wanted) => `does not say "${wanted}"`);
  };
  return { path, mistakes };
}

const folders: Place = {
  path: "services",
  mistakes({ root, services }) {
    const lacking = namesOf(services).flatMap((name) =>
      ["src/main.ts", "src/config.ts"]
        .filter((file) => !existsSync(join(root, "services", name, file)))
        .map((file) => `write services/${name}/${file}`),
    );
    const mains = globSync("services/*/src/main.ts", { cwd: root }).map((path) => path.split("/")[1] ?? "");
    const known: readonly string[] = [...namesOf(services), ...jobs];
    const unknown = mains.filter((name) => !known.includes(name));
    return [...lacking, ...unknown.map((name) => `${name} is not in services/services.json: add it`)];
  },
};

const protos: Place = {
  path: "proto",
  mistakes({ root, services }) {
    const files = globSync(["proto/shop/**/*_service.proto", "proto/ordermesh/connectors/**/*_service.proto"], {
      cwd: root,
    });
    const present = files.map((path) => path.split("/").slice(1, -1).join("."));
    const served = services.flatMap(({ packages }) => packages);
    return [
      ...served.filter((name) => !present.includes(name)).map((name) => `write a service of the package ${name}`),
      ...present
        .filter((name) => !served.includes(name))
        .map((name) => `say in services/services.json who serves ${name}`),
    ];
  },
};

const chart: Place = {
  path: "charts/ordermesh/Chart.yaml",
  mistakes(checkout) {
    const { dependencies } = parse(rawTextOf(checkout, this.path)) as { dependencies: { name: string }[] };
    const parts = dependencies.map(({ name }) => name);
    const names = namesOf(checkout.services);
    const line = (name: string) => `{ name: ${name}, version: …, repository: "" }`;
    return [
      ...names.filter((name) => !parts.includes(name)).map((name) => `add the dependency ${line(name)}`),
      ...parts.filter((part) => !names.includes(part)).map((part) => `there is no service ${part}: remove it`),
    ];
  },
};

const values: Place = {
  path: "charts/ordermesh/values.yaml",
  mistakes(checkout) {
    const said = parse(rawTextOf(checkout, this.path)) as Readonly<Record<string, Release | undefined>>;
    return checkout.services.flatMap(({ name, grpc, http, database = false, temporal = false }) => {
      const release = said[name];
      const ports = `ports: { grpc: ${grpc}, http: ${http} }`;
      if (!release) return [`add ${name} with ${ports}`];
      const hasPorts = release.ports?.grpc === grpc && release.ports.http === http;
      return [
        ...unless(hasPorts, `say of ${name} ${ports}`),
        ...unless((release.database?.enabled ?? true) === database, `say ${name}.database.enabled: ${database}`),
        ...unless((release.temporal?.enabled ?? false) === temporal, `say ${name}.temporal.enabled: ${temporal}`),
      ];
    });
  },
};

/** The values of an environment say of every service how large it is. */
function environment(name: string): Place {
  const path = `deploy/values/${name}.yaml`;
  const mistakes = (checkout: Checkout) => {
    const said = parse(rawTextOf(checkout, path), { merge: true }) as object;
    return namesOf(checkout.services)
      .filter((service) => !(service in said))
      .map((service) => `say what ${service} has here, as of its neighbours`);
  };
  return { path, mistakes };
}

const localSecrets: Place = {
  path: "deploy/infrastructure/local/secrets.yaml",
  mistakes(checkout) {
    const secrets = new Map(
      resourcesOf(checkout, this.path).map(({ metadata, stringData }) => [metadata.name, stringData]),
    );
    const books = secrets.get("ordermesh-books") ?? {};
    const read = namesOf(accounted(checkout)).map((name) => `${name}-database-url`);
    const unread = read.filter((key) => !(key in books)).map((key) => `add ${key} to the Secret ordermesh-books`);
    const serviceKeys = secrets.get("ordermesh-service-keys") ?? {};
    const known = serviceKeys.public ?? "";
    const keyless = checkout.services.flatMap(({ name }) => {
      const isThere = name in serviceKeys && known.includes(`"kid":"${name}"`);
      return isThere ? [] : [`add a key of ${name} to the Secret ordermesh-service-keys, and its public half`];
    });
    const own = checkout.services.flatMap(({ name, database }) => {
      const has = secrets.get(`ordermesh-${name}`) ?? {};
      const wanted = ["page-token-secret", ...(database ? ["database-url", "database-migration-url"] : [])];
      return wanted.filter((key) => !(key in has)).map((key) => `add ${key} to the Secret ordermesh-${name}`);
    });
    return [...own, ...keyless, ...unread];
  },
};

const roles: Place = {
  path: "deploy/infrastructure/resources/postgres.yaml",
  mistakes(checkout) {
    const resources = resourcesOf(checkout, this.path);
    const cluster = resources.find(({ kind }) => kind === "Cluster")?.spec as {
      readonly managed: { readonly roles: readonly { readonly name: string }[] };
    };
    const present = cluster.managed.roles.map(({ name }) => name);
    const databases = resources.filter(({ kind }) => kind === "Database").map(({ metadata }) => metadata.name);
    const services = namesOf(withDatabase(checkout));
    const readers = services.map((name) => `${name}_reader`);
    return [
      ...[...services, ...connectors].flatMap((name) => [
        ...unless(present.includes(name), `add the role ${name}`),
        ...unless(present.includes(`${name}_owner`), `add the role ${name}_owner`),
        ...unless(databases.includes(name), `add the Database ${name}`),
      ]),
      ...readers.flatMap((name) => unless(present.includes(name), `add the role ${name}`)),
    ];
  },
};

interface Forward {
  readonly resourceName: string;
  readonly port: number;
  readonly localPort: number;
}

/** Not every service is forwarded; those that are have their own port. */
const forwards: Place = {
  path: "skaffold.yaml",
  mistakes(checkout) {
    const documents = parseAllDocuments(rawTextOf(checkout, this.path), { merge: true });
    const configs = documents.map((document) => document.toJS() as { profiles: { portForward?: Forward[] }[] });
    const all = configs.flatMap(({ profiles }) => profiles.flatMap(({ portForward = [] }) => portForward));
    return all.flatMap(({ resourceName, port, localPort }) => {
      const name = /^ordermesh-(.+)$/.exec(resourceName)?.[1];
      if (name === undefined) return [];
      const grpc = checkout.services.find((service) => service.name === name)?.grpc;
      if (grpc === undefined) return [`there is no service ${name}: remove ${resourceName}`];
      return unless(port === grpc && localPort === grpc, `forward ${resourceName} on ${grpc}`);
    });
  },
};

/** Calls that documents show, as grpcurl and curl have them, go to a port where the package is served. */
const shownCalls: Place = {
  path: "docs",
  mistakes({ root, services }) {
    return globSync(["README.md", "docs/**/*.md"], { cwd: root }).flatMap((path) => {
      const calls = readFileSync(join(root, path), "utf8").matchAll(
        /localhost:(\d+)(?: |\/)((?:shop|ordermesh)\.\w+\.v\d+)\./g,
      );
      return [...calls].flatMap(([call, port, called = ""]) => {
        const server = services.find(({ grpc, http }) => grpc === Number(port) || http === Number(port));
        return unless(server?.packages.includes(called) === true, `${path}: nothing at that port serves ${call}…`);
      });
    });
  },
};

/** The table of processes. */
const processes: Place = {
  path: "docs/architecture.md",
  mistakes(checkout) {
    const rows = rawTextOf(checkout, this.path).split("\n");
    return checkout.services.flatMap(({ name, database, grpc, http }) => {
      const ends = `| ${database ? `\`${name}\`` : "none"} | ${grpc} | ${http} |`;
      const isThere = rows.some((row) => row.startsWith(`| ${name} |`) && row.endsWith(ends));
      return unless(isThere, `add the row | ${name} | … ${ends}`);
    });
  },
};

/** All of them. */
export const places: readonly Place[] = [
  folders,
  protos,
  chart,
  values,
  environment("local"),
  environment("staging"),
  environment("production"),
  localSecrets,
  says("deploy/infrastructure/local/postgres.yaml", (checkout) => [
    `for service in ${namesOf(withDatabase(checkout)).join(" ")}; do`,
  ]),
  says("charts/ordermesh/templates/books.yaml", (checkout) => [
    `list ${namesOf(accounted(checkout))
      .map((name) => `"${name}"`)
      .join(" ")}`,
  ]),
  roles,
  forwards,
  shownCalls,
  says("package.json", (checkout) => [sentence(namesOf(described(checkout)))]),
  says("charts/ordermesh/Chart.yaml", (checkout) => [sentence(namesOf(described(checkout)))]),
  says("deploy/Dockerfile", (checkout) => [sentence(namesOf(described(checkout)))]),
  says("deploy/image/README.md", (checkout) => [
    `| ${quoted(namesOf(checkout.services))} |`,
    `(also ${quoted(namesOf(withDatabase(checkout)).slice(1))})`,
  ]),
  says("README.md", (checkout) => {
    const https = checkout.services.map(({ http }) => http);
    return [
      `services (${namesOf(described(checkout)).join(", ")})`,
      ...checkout.services.map(({ name, grpc }, index) => `${name} ${index === 0 ? "on " : ""}${grpc}`),
      `ports ${Math.min(...https)} to ${Math.max(...https)}`,
    ];
  }),
  processes,
  says("docs/operations.md", (checkout) => [`for each of ${sentence(namesOf(described(checkout)))}:`]),
  says("docs/runbooks/README.md", (checkout) => audited(checkout).map(({ name, grpc }) => `${grpc} ${name}`)),
  says("docs/runbooks/books-unbalanced.md", (checkout) => {
    const ports = accounted(checkout).map(({ grpc }) => grpc);
    return [`for port in ${ports.join(" ")}; do`];
  }),
];
