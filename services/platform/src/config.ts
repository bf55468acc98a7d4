import { z } from "zod";
import { readConfigFile } from "./config-file.ts";
import { describeIssue } from "./describe-issue.ts";
import { issuersSchema, roleName } from "./issuer-settings.ts";
import { networksOf, proxyHeaders, quotaOf } from "./limit-settings.ts";
import { isSecret, JoinedSecret, readSecretFile, Secret, secret } from "./secret.ts";
import { spiffeServicesSchema } from "./spiffe-services.ts";

/** The configuration of a process is unusable. The message names every bad variable at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const port = z.coerce.number().int().min(0).max(65535);
const milliseconds = z.coerce.number().int().min(0);
const places = z.coerce.number().int().min(1);

/** A variable that holds JSON. */
function json<T extends z.ZodType>(schema: T) {
  const parsed = z.string().transform((text, context) => {
    try {
      // biome-ignore lint/plugin/json: a setting, and its schema comes next
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: "custom", message: "is no JSON" });
      return z.NEVER;
    }
  });
  return parsed.pipe(schema);
}

/** An Ed25519 key as a JWK (RFC 8037), with or without its private half. */
const keySchema = z.looseObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string(),
  kid: z.string().optional(),
});

/** Those whose tokens are taken, or `none`, which is undefined here. */
const issuers = z
  .string()
  .transform((text) => (text === "none" ? undefined : text))
  .pipe(json(issuersSchema).optional())
  .describe("it names whose access tokens are taken; none asks nobody who calls");

function isKey(text: string): boolean {
  return json(keySchema).safeParse(text).success;
}

const exporterNames = ["jaeger", "otlp", "zipkin", "console", "none"] as const;

/** The exporters of a list of names, each once. */
function exportersOf(text: string, context: z.RefinementCtx<string>): readonly (typeof exporterNames)[number][] {
  const given = [...new Set(text.split(",").map((name) => name.trim()))];
  const known = exporterNames.filter((name) => given.includes(name));
  const alone = known.length === 1 || !known.includes("none");
  if (known.length === given.length && alone) return known;
  const message = "must be one or more of jaeger, otlp, zipkin and console with commas between, or none alone";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** The origins of a list, as browsers say them. */
export function originsOf(text: string, context: z.RefinementCtx<string>): readonly string[] {
  const given = text.split(",").flatMap((origin) => origin.trim() || []);
  const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text && !text.includes("*");
  if (given.every(isOrigin)) return given;
  const message =
    "must be origins with commas between, each as https://shop.example or http://localhost:3000, without a path";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** What every process reads from its environment. Durations are milliseconds. */
export const platformConfig = {
  /** A file of settings in YAML, by the same names; what a variable says counts more. See `config-file.ts`. */
  CONFIG_FILE: z.string().optional(),
  /** The file of feature flags, in flagd's JSON, which is read anew when it changes. Without it each flag is what the code takes. See `flags/`. */
  FLAGS_FILE: z.string().optional(),
  /** The name in logs, traces and metrics; the name in the code when it is not set. */
  SERVICE_NAME: z.string().optional(),
  LOG_LEVEL: z.enum(["error", "warn", "info", "debug"]).default("info"),
  /** `json` is Elastic Common Schema, `pretty` is for people. Pretty on a terminal unless set. */
  LOG_FORMAT: z.enum(["json", "pretty"]).optional(),
  /** 0 takes any free port. */
  GRPC_PORT: port,
  HTTP_PORT: port,
  /** Where health and metrics are answered, in plain text, and nowhere else then; on the HTTP port when it is not set. 0 takes any free port. */
  ADMIN_PORT: port.optional(),
  /** The address to listen on. Containers set 0.0.0.0, or :: where there is IPv6. */
  LISTEN_HOST: z
    .string()
    .regex(/^[^[\]]*$/, "is written without brackets, for example ::")
    .default("127.0.0.1"),
  /** How long calls in flight may take to finish after SIGTERM. */
  DRAIN_TIMEOUT_MS: milliseconds.default(10_000),
  /** Pause between "not ready" and closing the listeners, for load balancers to notice. */
  DRAIN_PAUSE_MS: milliseconds.default(0),
  /**
   * A gRPC connection is ended, without harm to its calls, when it is about so old; 0 keeps it. A client that is told to
   * come again looks up its address anew, and so finds replicas that were added.
   */
  MAX_CONNECTION_AGE_MS: milliseconds.default(0),
  /**
   * How long a connection of the HTTP port rests between two requests before it is closed. Longer than whatever stands in front
   * keeps its own: else it sends a request to a connection that is being closed, and answers 502. The default is above the 600 s
   * of those load balancers that keep theirs longest.
   */
  HTTP_KEEP_ALIVE_TIMEOUT_MS: milliseconds.min(1).default(620_000),
  /** Web pages whose scripts may call the HTTP port: their origins, exactly, with commas between. None by default. */
  HTTP_CORS_ORIGINS: z.string().default("").transform(originsOf),
  /** Whether the HTTP port serves the contract: `/openapi.json`, and `/docs/`, a page to try calls on. */
  HTTP_API_DOCS: z.stringbool().default(true),
  /** Whether calls to other services go through the proxy that http_proxy, https_proxy or grpc_proxy name, but for no_proxy. */
  GRPC_USE_PROXY: z.stringbool().default(false),
  /**
   * Whether the HTTP port speaks TLS, with the same files as gRPC: `plain` for none; `tls`, with a certificate asked of the caller, who may
   * have none; `mutual`, where he has to show one of our authority.
   */
  HTTP_TLS: z.enum(["plain", "tls", "mutual"]).default("plain"),
  /** PEM files for TLS on gRPC, both ways: certificate, key, and those whom we trust. All or none. */
  GRPC_TLS_CERT: z.string().optional(),
  GRPC_TLS_KEY: z.string().optional(),
  GRPC_TLS_CA: z.string().optional(),
  /** How often these files are read again, so that renewed ones are used without a restart. */
  GRPC_TLS_REFRESH_MS: milliseconds.min(50).default(10_000),
  /** How often the files of secrets, and that of settings, are read again, so that changed ones are used without a restart. */
  SECRETS_REFRESH_MS: milliseconds.min(50).default(5_000),
  /** Pause between two looks at whether the process can do its work. */
  READINESS_INTERVAL_MS: milliseconds.default(2_000),
  /** How long a call without a deadline of its own may take. */
  DEFAULT_TIMEOUT_MS: milliseconds.default(30_000),
  /** Calls of callers that work at the same time; more are refused with RESOURCE_EXHAUSTED. */
  MAX_INFLIGHT: places.default(2_000),
  /**
   * Calls of the saga that run at the same time: as many as all workers together may send, because what is refused here leaves
   * callers waiting.
   */
  MAX_INFLIGHT_SAGA: places.default(2_000),
  /** Calls of operators that run at the same time. */
  MAX_INFLIGHT_OPERATOR: places.default(100),
  /** Callers that wait for something to happen, streams among them; more are refused before anything is done for them. */
  MAX_WAITING: places.default(10_000),
  /**
   * How often each caller may call what changes nothing: so many calls at once, which come back evenly over so many seconds; `off`
   * for no limit. More are refused with RESOURCE_EXHAUSTED. A caller is who its credential proves it to be, else its address.
   */
  RATE_LIMIT_READ: z.string().default("2000/1").transform(quotaOf),
  /** The same of what changes something. */
  RATE_LIMIT_WRITE: z.string().default("1000/1").transform(quotaOf),
  /** The same of what is tried again and again to do harm: logins, passwords, refunds; and of credentials that are made up. */
  RATE_LIMIT_SENSITIVE: z.string().default("60/60").transform(quotaOf),
  /** How often each service of ours may call, whatever it calls. */
  RATE_LIMIT_SERVICES: z.string().default("off").transform(quotaOf),
  /**
   * Valkey or Redis, in which the replicas of a service tell each other how often callers have called: `redis://host:6379`, or
   * `rediss://` with TLS. Without it, and while it is away, each counts for itself.
   */
  RATE_LIMIT_STORE_URL: secret(z.url({ protocol: /^rediss?$/, error: "is not redis://host:port" })).optional(),
  /** Its password, where it is not in the URL. */
  RATE_LIMIT_STORE_PASSWORD: secret(z.string().min(1)).optional(),
  /** How many replicas the service has: so many parts of each limit are theirs where they cannot tell each other. */
  RATE_LIMIT_REPLICAS: places.default(1),
  /**
   * What stands between callers and us: addresses and networks, with commas between. Only they are believed about whom they call for;
   * without them, all who come through a proxy count as one caller.
   */
  TRUSTED_PROXIES: z.string().default("").transform(networksOf),
  /** The header in which they say it: `x-forwarded-for` or `forwarded`. */
  PROXY_HEADER: z.enum(proxyHeaders).default("x-forwarded-for"),
  /** Streams of one caller at the same time in one process, a tenth of `MAX_WAITING`; more are refused with RESOURCE_EXHAUSTED. */
  MAX_STREAMS_PER_CALLER: places.default(1_000),
  /** How long what is sent may stay unread before its stream, or its connection over HTTP, is ended. */
  UNREAD_TIMEOUT_MS: milliseconds.min(1).default(60_000),
  /** The largest message that is received or sent, in bytes. */
  MAX_MESSAGE_BYTES: z.coerce
    .number()
    .int()
    .min(1024)
    .default(8 * 1024 * 1024),
  /** Where spans go, several names with commas between; `none` makes no spans. */
  OTEL_TRACES_EXPORTER: z.string().default("none").transform(exportersOf),
  /** The base address; spans go to `/v1/traces` below it. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
  /** The whole address of the collector that takes Thrift over HTTP, with `/api/traces`. */
  OTEL_EXPORTER_JAEGER_ENDPOINT: z.url().optional(),
  /** The whole address, with `/api/v2/spans`. */
  OTEL_EXPORTER_ZIPKIN_ENDPOINT: z.url().optional(),
  /** The share of traces that are kept when the caller has not decided, from 0 to 1. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  /** Spans that wait for each exporter; more are dropped and counted. The names and defaults of `OTEL_BSP_…` are OpenTelemetry's. */
  OTEL_BSP_MAX_QUEUE_SIZE: z.coerce.number().int().min(1).max(100_000).default(2_048),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: z.coerce.number().int().min(1).max(10_000).default(512),
  /** How long a span waits for others before it is sent, at most. */
  OTEL_BSP_SCHEDULE_DELAY: milliseconds.default(5_000),
  /** How long a collector may take for one batch, which is lost then. */
  OTEL_BSP_EXPORT_TIMEOUT: milliseconds.min(1).default(30_000),
  /** Work on an order that goes on later than this begins a trace of its own, linked to the first one. */
  TRACE_MAX_AGE_MS: milliseconds.default(3_600_000),
  /**
   * Whose access tokens are taken, as a JSON list of `{issuer, audience}` with, if need be, `keys`, `ca`, `type`, `rolesClaim`, `roles`
   * and `services`; see `authorization/issuers.ts`. `none`: nobody is asked who calls, but for what `SPIFFE_SERVICES` says. No default: that
   * anybody may call has to be said.
   */
  TOKEN_ISSUERS: issuers,
  /** Where API keys that are shown as they are, are exchanged for access tokens. Without it only tokens are taken. */
  IDENTITY_ADDRESS: z.string().min(1).optional(),
  /** What the process proves with who it is: an Ed25519 key as a JWK. Without it the process shows nothing to others. */
  SERVICE_KEY: secret(z.string().refine(isKey, "is no Ed25519 key as a JWK")).optional(),
  /**
   * The public halves of all services' keys: a JWKS in which each has the service's name as its `kid`. One that says `roles` is of a program
   * that is no service of ours, with these roles.
   */
  SERVICE_KEYS: json(z.object({ keys: z.array(keySchema.extend({ roles: z.array(roleName).optional() })) })).default({
    keys: [],
  }),
  /**
   * Which service of ours shows a certificate, where there is TLS: a JSON object of names by SPIFFE IDs. Without it certificates only open
   * the way. With `TOKEN_ISSUERS=none`, only calls that are for services alone need such a certificate.
   */
  SPIFFE_SERVICES: json(spiffeServicesSchema).optional(),
  /** Seals page tokens; the same for all replicas of a service. At least 32 characters. */
  PAGE_TOKEN_SECRET: secret(z.string().min(32)),
};

/** Whether what a URL says of user and password can be read: each `%` stands before two hexadecimal digits. */
function isReadable(url: string): boolean {
  try {
    const { username, password } = new URL(url);
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/**
 * Says `verify-full` where pg takes another word for it: its next version means something weaker by `prefer`, `require` and `verify-ca`, and this one
 * warns of that on standard error, which no log has.
 */
function withPlainSslMode(url: string): string {
  if (/[?&]uselibpqcompat=true(?:&|$)/.test(url)) return url;
  return url.replace(/([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|$)/, "$1verify-full");
}

/** How a database is reached: `postgres://role:password@host:5432/database`. The host may be `[::1]`; `sslmode` is said in operations. */
export const databaseUrl = z
  .url({
    abort: true,
    protocol: /^postgres(ql)?$/,
    error:
      "is not postgres://role:password@host:port/database; in the password write @ as %40, / as %2F, : as %3A, % as %25",
  })
  .refine(isReadable, "has a % that stands for nothing; in the password write it as %25")
  .transform(withPlainSslMode);

/** What a service with a database reads besides. */
export const databaseConfig = {
  /** The runtime role, which may not change the schema. */
  DATABASE_URL: secret(databaseUrl),
  /** The role and its password, where they are not in the URLs: what is said here is what counts. */
  DATABASE_USERNAME: secret(z.string().min(1)).optional(),
  DATABASE_PASSWORD: secret(z.string().min(1)).optional(),
  /**
   * A pooler between the service and its database that hands out connections by transaction, such as PgBouncer: `true` leaves out what
   * belongs to a session. The role then has to bring its time-outs.
   */
  DATABASE_POOLED: z.stringbool().default(false),
  /** The runtime role at the server itself, for what needs a session behind a pooler: listening, in orders. */
  DATABASE_DIRECT_URL: secret(databaseUrl).optional(),
  DATABASE_POOL_MAX: z.coerce.number().int().min(1).default(10),
  /** The owner's role; only `migrate` needs it. */
  DATABASE_MIGRATION_URL: secret(databaseUrl).optional(),
  /** How long request ids are remembered, at least. A step that is parked for longer may have its effect twice. */
  REQUEST_ID_RETENTION_MS: milliseconds.min(1).default(30 * 24 * 3_600_000),
};

/** The servers of a list. */
function brokersOf(text: string, context: z.RefinementCtx<string>): readonly string[] {
  const given = text.split(",").map((server) => server.trim());
  const protocols = new Set(given.map((server) => (URL.canParse(server) ? new URL(server).protocol : "")));
  const isServer = (server: string) => /^(?:nats|tls):\/\/[^/@?#]+$/.test(server);
  if (protocols.size === 1 && given.every(isServer)) return given;
  const message =
    "must be servers with commas between, all as nats://host:4222 or all as tls://host:4222; who logs in is EVENTS_NATS_USERNAME and EVENTS_NATS_PASSWORD";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** What a service reads that tells subscribers of what happens in it; see docs/events.md. */
export const eventsConfig = {
  /** Servers of NATS with JetStream, with commas between: `nats://host:4222`, or `tls://host:4222`. Without them nobody is told. */
  EVENTS_NATS_URL: z.string().transform(brokersOf).optional(),
  /** Who logs in there; nobody does unless it is set. */
  EVENTS_NATS_USERNAME: z.string().min(1).optional(),
  /** The password. */
  EVENTS_NATS_PASSWORD: secret(z.string().min(1)).optional(),
  /** The file (PEM) of the authority that signed the servers' certificates; the machine's own unless it is set. */
  EVENTS_NATS_CA: z.string().min(1).optional(),
  /** How the data of events is written: `json` or `protobuf`. */
  EVENTS_FORMAT: z.enum(["json", "protobuf"]).default("json"),
  /** The stream that keeps the events of all services. It is made when there is none; one that is there stays as it is. */
  EVENTS_STREAM: z
    .string()
    .regex(/^[\w-]{1,64}$/, "must be 1 to 64 letters, digits, _ and -")
    .default("ordermesh"),
  /** How long a stream that is made keeps an event. */
  EVENTS_STREAM_MAX_AGE_MS: milliseconds.min(60_000).default(7 * 24 * 3_600_000),
  /** How much it keeps, in bytes; the oldest go first. */
  EVENTS_STREAM_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1024 * 1024)
    .default(4 * 1024 ** 3),
  /** On how many servers of a cluster it is kept: 1, 3 or 5. */
  EVENTS_STREAM_REPLICAS: z.coerce.number().int().min(1).max(5).default(1),
};

/** The values of a shape after parsing. */
export type ConfigOf<S extends z.ZodRawShape> = z.infer<z.ZodObject<S>>;
/** The values that every process has. */
export type PlatformConfig = ConfigOf<typeof platformConfig>;
/** The values by which subscribers are told. */
export type EventsConfig = ConfigOf<typeof eventsConfig>;
/** The values that a process with a database has. */
export type DatabaseConfig = ConfigOf<typeof databaseConfig>;

function withoutEmpty(env: NodeJS.ProcessEnv): Record<string, string> {
  const set = Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(set);
}

/** The same configuration, whose connections log in as the role that it says apart from them. */
export function withRole<C extends Partial<DatabaseConfig>>(config: C): C {
  const { DATABASE_USERNAME: username, DATABASE_PASSWORD: password } = config;
  const role = [username, password].filter((part) => part !== undefined);
  if (role.length === 0) return config;
  const joined = (url: Secret) =>
    new JoinedSecret([url, ...role], () => {
      const whole = new URL(url.text);
      if (username) whole.username = encodeURIComponent(username.text);
      if (password) whole.password = encodeURIComponent(password.text);
      return whole.href;
    });
  const { DATABASE_URL: url, DATABASE_DIRECT_URL: directUrl } = config;
  return {
    ...config,
    ...(url && { DATABASE_URL: joined(url) }),
    ...(directUrl && { DATABASE_DIRECT_URL: joined(directUrl) }),
  };
}

/** What the files of a shape's secrets hold, and what keeps them from being used. */
function readSecrets(shape: z.ZodRawShape, given: Readonly<Record<string, string>>) {
  const files = new Map<string, string>();
  const texts: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, rule] of Object.entries(shape)) {
    const file = given[`${name}_FILE`];
    if (file === undefined || !isSecret(rule)) continue;
    files.set(name, file);
    if (name in given) problems.push(`  ${name}: is set, and ${name}_FILE as well; one of them has to go`);
    try {
      texts[name] = readSecretFile(file);
    } catch (error) {
      problems.push(`  ${name}_FILE: ${(error as Error).message}`);
    }
  }
  return { files, texts, problems };
}

/** What a variable is for, where its name alone does not say it. */
function hintOf(rule: z.ZodRawShape[string] | undefined): string {
  const { description } = rule as z.ZodType;
  return description ? `: ${description}` : "";
}

/**
 * What is wrong with variables together, each as `NAME: why`. It is asked whatever else is wrong, with the texts of those that are set; a
 * secret from a file is set by `NAME_FILE`.
 */
export type Together = (given: Readonly<Record<string, string>>) => readonly string[];

/**
 * Reads the variables of a shape. An empty variable counts as not set. What is secret is read from the file that `NAME_FILE` names, if
 * that is set, and what no variable says from the file of settings, if the shape knows one.
 *
 * @throws {@link ConfigError} that lists every bad or missing variable, without their values: they may be secrets.
 */
export function loadConfig<S extends z.ZodRawShape>(
  shape: S,
  env: NodeJS.ProcessEnv = process.env,
  together: Together = () => [],
): ConfigOf<S> {
  const set = withoutEmpty(env);
  const file = "CONFIG_FILE" in shape && set.CONFIG_FILE ? readConfigFile(set.CONFIG_FILE, shape) : undefined;
  const variables = { ...file?.texts, ...set };
  const { files, texts, problems } = readSecrets(shape, variables);
  if (file) problems.push(...file.problems);
  const given = { ...variables, ...texts };
  const parsed = z.object(shape).safeParse(given, { error: describeIssue });
  for (const issue of parsed.error?.issues ?? []) {
    // What is wrong with one of several values is wrong with the variable.
    const name = String(issue.path[0]);
    const file = files.get(name);
    if (name in given) problems.push(`  ${name}: ${file ? `the file ${file} ` : ""}${issue.message}`);
    else if (!file) problems.push(`  ${name}: is not set${hintOf(shape[name])}`);
  }
  problems.push(...together(given).map((problem) => `  ${problem}`));
  if (problems.length > 0) throw new ConfigError(`The configuration is not usable:\n${problems.join("\n")}`);
  const data = parsed.data as ConfigOf<S>;
  for (const [name, file] of files) {
    const secret = (data as Readonly<Record<string, unknown>>)[name];
    if (secret instanceof Secret) secret.follow({ name, file });
  }
  return data;
}
