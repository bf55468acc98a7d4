// The one reader of services.json, for deploy/, dev/, bench/, charts/ and the jobs. The file is an object by name and not a list,
// because TypeScript keeps the keys of JSON as literal types while it widens every string in it: so the compiler knows the
// names from the file alone, a wrong one does not compile, and nothing repeats them. What is true of some only is a key that
// the others lack (`"database": true`, never false), for the same reason. The order of the keys is the order in which services
// are shown; no two can have one name, since a key stands once (Biome refuses a second).
import { z } from "zod";
import json from "./services.json" with { type: "json" };

/** The name of a process of ours: its folder, its program in the image, its alias in the chart. */
export type Service = keyof typeof json;
/** One that has a database; the database and its runtime role have the service's name. */
export type DatabaseService = {
  [Name in Service]: (typeof json)[Name] extends { database: boolean } ? Name : never;
}[Service];

/** One whose rows the books compare with those of the others. */
export type AccountedService = {
  [Name in DatabaseService]: (typeof json)[Name] extends { books: boolean } ? Name : never;
}[DatabaseService];

/** Above those that only root may listen on. */
const port = z.int().min(1_024).max(65_535);

const factsSchema = z.strictObject({
  /** Where it listens by default, in the charts as on a desk. */
  grpc: port,
  http: port,
  /** Whether it has a database of its own, with migrations. */
  database: z.literal(true).optional(),
  /** Whether the books compare its rows with those of the others. */
  books: z.literal(true).optional(),
  /** Whether it connects to Temporal. */
  temporal: z.literal(true).optional(),
  /** Whether it stands for the world outside in development and tests: production goes without. */
  outside: z.literal(true).optional(),
  /** The Protobuf packages whose calls it answers. */
  packages: z.array(z.string().regex(/^(shop|ordermesh)\.[a-z]+\.v\d+$/)).min(1),
});

/** What is known of a service before it runs. */
export type ServiceFacts = Readonly<z.infer<typeof factsSchema>>;

/** It is a host, a role of PostgreSQL and, in capitals, the beginning of `<NAME>_ADDRESS`. */
const namePattern = /^[a-z]+$/;

const schema = z.record(z.string(), factsSchema).superRefine((facts, context) => {
  const owners = new Map<number, string>();
  for (const [name, { grpc, http }] of Object.entries(facts)) {
    if (!namePattern.test(name)) {
      context.addIssue({ code: "custom", path: [name], message: "a name is small letters alone" });
    }
    for (const [face, port] of Object.entries({ grpc, http })) {
      const owner = owners.get(port);
      const message = `port ${port} is the ${owner} already`;
      if (owner !== undefined) context.addIssue({ code: "custom", path: [name, face], message });
      owners.set(port, `${face} port of ${name}`);
    }
  }
});

/** Checks what services.json says. @throws Error that names every mistake with its place */
export function readServices(said: unknown): Readonly<Record<string, ServiceFacts>> {
  const { data, error } = schema.safeParse(said);
  if (error) throw new Error(`services/services.json:\n${z.prettifyError(error)}`);
  return data;
}

/** What is known of each service, in the order in which they are shown. */
export const serviceFacts = readServices(json) as Readonly<Record<Service, ServiceFacts>>;

/** Every process of ours. */
export const services = Object.keys(serviceFacts) as readonly Service[];

/**
 * Programs of the image that are no services: they run once and end, nobody calls them, and so they have no ports, no packages
 * and no entry in the file. Each is a folder beside the services'.
 */
export const jobs = ["books"] as const;

/** Connectors of the image, which are no services of the mesh: each is a program with a database of its own, that runs where somebody installs it. */
export const connectors = ["stripe", "easypost"] as const;

/** Those that have a database. */
export const databaseServices = services.filter(hasDatabase);

/** Those whose rows the books compare. */
export const accountedServices = databaseServices.filter(
  (service): service is AccountedService => serviceFacts[service].books === true,
);

/** Whether it has a database of its own. */
export function hasDatabase(service: Service): service is DatabaseService {
  return serviceFacts[service].database === true;
}

/** Whether this is the name of a service. */
export function isService(name: string): name is Service {
  return services.some((service) => service === name);
}
