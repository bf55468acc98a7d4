import fc from "fast-check";

/** What can be said of pods, for all of them or for those of one service. */
export interface PodSettings {
  readonly user?: number;
  readonly podLabels?: Readonly<Record<string, string>>;
  readonly podAnnotations?: Readonly<Record<string, string>>;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly object[];
  readonly affinity?: Readonly<Record<string, object>>;
  readonly topologySpreadConstraints?: readonly object[];
  readonly priorityClassName?: string;
  readonly runtimeClassName?: string;
  readonly hostAliases?: readonly object[];
  readonly dnsPolicy?: string;
  readonly dnsConfig?: Readonly<Record<string, object>>;
  readonly extraEnv?: readonly Named[];
  readonly extraEnvFrom?: readonly object[];
  readonly extraVolumes?: readonly Named[];
  readonly extraVolumeMounts?: readonly (Named & { readonly mountPath: string })[];
  readonly initContainers?: readonly Named[];
  readonly sidecars?: readonly Named[];
}

interface Named {
  readonly name: string;
}

/** What can be said of a service, or of a job of the mesh, besides. */
export interface ServiceValues extends PodSettings {
  readonly image?: { readonly repository?: string; readonly tag?: string };
  readonly imagePullSecrets?: readonly (string | Named)[];
  readonly ports?: { readonly grpc?: number; readonly http?: number; readonly admin?: number };
  readonly canary?: { readonly enabled: boolean; readonly image: { readonly tag: string } };
  readonly blueGreen?: { readonly enabled: boolean; readonly image: { readonly tag: string } };
  readonly versions?: object;
  readonly serviceAccount?: { readonly create: boolean; readonly name?: string };
}

/** What can be said of a mesh. */
export interface MeshValues {
  readonly global: {
    readonly pods?: PodSettings;
    readonly imageRegistry?: string;
    readonly imagePullSecrets?: readonly (string | Named)[];
    readonly tls?: object;
    readonly database?: object;
    /** Without them nobody can be told by HTTP. */
    readonly events: { readonly servers: string };
  };
  readonly orders: ServiceValues;
  readonly payments: ServiceValues;
  readonly inventory: ServiceValues;
  readonly shipping: ServiceValues;
  readonly identity: ServiceValues;
  readonly notifications: ServiceValues & { readonly enabled: true };
  readonly webhooks: ServiceValues & { readonly enabled: true };
  readonly simulators: ServiceValues & { readonly enabled: true };
  readonly worker: ServiceValues;
  readonly books: ServiceValues;
  readonly test: ServiceValues;
}

const word = fc.constantFrom("disk", "zone", "team", "gpu", "shop");
const worth = fc.constantFrom("fast", "slow", "1", "true", "0123", "");
const words = fc.dictionary(word, worth, { maxKeys: 3 });
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 2 });

const container = fc.record({
  name: fc.constantFrom("proxy", "agent"),
  image: fc.constantFrom("registry.example.com/proxy:1", "localhost/agent"),
});
const volume = fc.record({ name: fc.constantFrom("certificates", "scratch"), emptyDir: fc.constant({}) });
const mount = fc.record({
  name: fc.constantFrom("certificates", "scratch"),
  mountPath: fc.constantFrom("/extra/a", "/extra/b"),
});
const variable = fc.oneof(
  fc.record({ name: fc.constantFrom("NODE_OPTIONS", "HTTP_PROXY"), value: worth }),
  fc.record({
    name: fc.constantFrom("NO_PROXY", "TOKEN"),
    valueFrom: fc.constant({ secretKeyRef: { name: "some", key: "token" } }),
  }),
);
const unique = <T>(item: fc.Arbitrary<T>, key: (one: T) => string) =>
  fc.uniqueArray(item, { selector: key, maxLength: 2 });
const named = <T extends Named>(item: fc.Arbitrary<T>) => unique(item, ({ name }) => name);

const toleration = fc.record({ key: word, operator: fc.constant("Exists"), tolerationSeconds: fc.nat(5_000_000) });
const spread = fc.record({
  maxSkew: fc.integer({ min: 1, max: 9 }),
  topologyKey: fc.constantFrom("rack", "zone"),
  whenUnsatisfiable: fc.constant("DoNotSchedule"),
});
const alias = fc.record({
  ip: fc.constantFrom("10.0.0.1", "fd00::1"),
  hostnames: fc.constant(["gateway.example.com"]),
});

const jobSettings = {
  // Beyond 2^21 Helm would write a number with an exponent; a cluster gives out ranges such as 1000700000.
  user: fc.oneof(fc.integer({ min: 1, max: 65_535 }), fc.constant(1_000_700_000), fc.constant(0)),
  podLabels: words,
  podAnnotations: words,
  nodeSelector: words,
  tolerations: some(toleration),
  affinity: fc.dictionary(fc.constantFrom("nodeAffinity", "podAffinity"), fc.constant({ some: "rule" }), {
    maxKeys: 2,
  }),
  priorityClassName: fc.constantFrom("", "high", "low"),
  runtimeClassName: fc.constantFrom("", "gvisor"),
  hostAliases: some(alias),
  dnsPolicy: fc.constantFrom("", "Default", "None"),
  dnsConfig: fc.dictionary(fc.constantFrom("searches", "nameservers"), fc.constant(["one", "two"]), { maxKeys: 2 }),
  extraEnv: named(variable),
  extraEnvFrom: some(fc.record({ configMapRef: fc.record({ name: word }) })),
  extraVolumes: named(volume),
  extraVolumeMounts: unique(mount, ({ mountPath }) => mountPath),
  initContainers: named(container),
};
const podSettings = { ...jobSettings, sidecars: named(container), topologySpreadConstraints: some(spread) };

const image = fc.record(
  { repository: fc.constantFrom("reg.example.com:5000/team/mesh", "mesh"), tag: fc.constantFrom("1.2", "next") },
  { requiredKeys: [] },
);
const pullSecrets = some(fc.oneof(word, fc.record({ name: word })));
/** Each service takes its own of them, since a pod's containers share an address. */
const ports = fc
  .uniqueArray(fc.integer({ min: 1_024, max: 65_535 }), { minLength: 3, maxLength: 3 })
  .map(([grpc = 0, http = 0, admin = 0]) => ({ grpc, http, admin }));
const account = fc.oneof(
  fc.record({ create: fc.constant(true), annotations: words }),
  fc.record({ create: fc.constant(false), name: fc.constantFrom("", "shared") }),
);
const tracks = fc.constantFrom({}, { canary: { enabled: true, image: { tag: "new" } } }, {
  blueGreen: { enabled: true, image: { tag: "new" } },
} as const);

const optional = { requiredKeys: [] };
const common = { image, imagePullSecrets: pullSecrets };
const service = fc
  .tuple(fc.record({ ...podSettings, ...common, ports, serviceAccount: account }, optional), tracks)
  .map(([values, versions]): ServiceValues => ({ ...values, ...versions }) as ServiceValues);
const job = fc.record({ ...jobSettings, image }, optional) as fc.Arbitrary<ServiceValues>;
const longVersion = `2026.${"1".repeat(27)}`;
const versions = fc.constantFrom(
  {},
  // In a label it is text, not a number.
  { enabled: true, current: "1.0", draining: [{ id: "2", image: { tag: "old" } }] },
  { enabled: true, current: "1.1.0", draining: [{ id: "unversioned", image: { tag: "old" } }] },
  { enabled: true, current: longVersion, draining: [{ id: `${longVersion.slice(0, -1)}2`, image: { tag: "old" } }] },
);
const worker = fc
  .tuple(fc.record({ ...podSettings, ...common, ports, serviceAccount: account }, optional), versions)
  .map(([values, said]): ServiceValues => ({ ...values, versions: said }) as ServiceValues);

const anyValues: fc.Arbitrary<MeshValues> = fc.record({
  global: fc.record(
    {
      pods: fc.record(podSettings, optional) as fc.Arbitrary<PodSettings>,
      imageRegistry: fc.constantFrom("", "mirror.example.com", "mirror.example.com:5000/cache/"),
      imagePullSecrets: pullSecrets,
      tls: fc.constantFrom({}, { enabled: true, http: "tls" }, { enabled: true, issuer: { name: "mesh" } }),
      database: fc.constantFrom({}, { host: "db", caSecret: "ca", port: 6432 }),
      events: fc.constantFrom({ servers: "nats://nats:4222" }, { servers: "tls://nats.events:4222,tls://others:4223" }),
    },
    { requiredKeys: ["events"] },
  ),
  orders: service,
  payments: service,
  inventory: service,
  shipping: service,
  identity: service,
  notifications: service.map((values) => ({
    ...values,
    enabled: true as const,
    config: { MAIL_SERVER_URL: "smtp://mail:587", MAIL_FROM: "orders@example.com" },
  })),
  webhooks: service.map((values) => ({ ...values, enabled: true as const })),
  simulators: service.map((values) => ({ ...values, enabled: true as const })),
  worker,
  books: job,
  test: job,
});

/** Any values of a mesh, as they are in a file. */
export const meshValues = anyValues.map((values) => JSON.parse(JSON.stringify(values)) as MeshValues);

const letter = fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789");
const piece = (longest: number) => fc.string({ unit: letter, minLength: 1, maxLength: longest });

/** Any name that Helm takes for a release: up to 53 small letters, digits, dashes and dots. */
export const releaseName: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("orders", "worker", "ordermesh", "test", "mesh", "1st", "shop.eu", "true", "null", "a".repeat(53)),
  // Where names begin to be too long, each length of these comes in turn.
  fc.integer({ min: 36, max: 53 }).map((length) => "long-release-name".repeat(4).slice(0, length).replace(/-$/, "x")),
  piece(53),
  fc.tuple(piece(25), fc.constantFrom("-", ".", "--"), piece(25)).map((parts) => parts.join("").replace(".-", "-")),
);

/** Names under which a larger chart has a mesh, each once. */
export const aliases: fc.Arbitrary<string[]> = fc.uniqueArray(
  fc.constantFrom("ordermesh", "orders", "eu", "us", "shopEU", "shop_us", "orders-worker", "x".repeat(60)),
  { minLength: 1, maxLength: 3 },
);
