import { z } from "zod";
import { ConfigError, type ConfigOf } from "#platform/config.ts";
import { KeyRing, keysText } from "#platform/key-ring.ts";
import { secret } from "#platform/secret.ts";
import { EnvelopeKeys, SuccessiveKeys } from "./envelope-keys.ts";
import { FileKeys, type KeyProvider, masterKeys } from "./key-provider.ts";
import { PersonalData } from "./personal-data.ts";
import { type VaultOptions, VaultTransit } from "./vault-transit.ts";

const milliseconds = z.coerce.number().int().min(1);

/** Where the master keys are, when they are in no file. */
const keyServiceConfig = {
  /**
   * Who has the master key: the lines of `PERSONAL_DATA_KEYS`, or Vault's transit engine, which gives it to nobody. What the lines of a file
   * wrapped before is unwrapped by them still, and wrapped anew, for as long as there are any.
   */
  PERSONAL_DATA_KEY_SERVICE: z.enum(["file", "vault"]).default("file"),
  /** For how long one key of the service wraps those of persons: so long it need not be there, and a rotation is not noticed. */
  PERSONAL_DATA_KEY_REUSE_MS: milliseconds.default(3_600_000),
  /** How long the service may take to answer. */
  PERSONAL_DATA_KEY_TIMEOUT_MS: milliseconds.default(2_000),
  /** For example `https://vault.vault:8200`. */
  PERSONAL_DATA_VAULT_URL: z.url({ protocol: /^https?$/, error: "is not http(s)://host:port" }).optional(),
  /** Where the transit engine is mounted, and its key. */
  PERSONAL_DATA_VAULT_MOUNT: z.string().min(1).default("transit"),
  PERSONAL_DATA_VAULT_KEY: z
    .string()
    .regex(/^[\w.-]{1,64}$/)
    .default("ordermesh"),
  /** Of an enterprise Vault. */
  PERSONAL_DATA_VAULT_NAMESPACE: z.string().min(1).optional(),
  /** The role of the Kubernetes auth method that this service has. */
  PERSONAL_DATA_VAULT_ROLE: z.string().min(1).optional(),
  /** Where that method is mounted, and the token of the pod that it is shown. */
  PERSONAL_DATA_VAULT_LOGIN_MOUNT: z.string().min(1).default("kubernetes"),
  PERSONAL_DATA_VAULT_LOGIN_TOKEN: z.string().min(1).default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
  /** A token instead of a role: an agent beside the service may write and renew it. */
  PERSONAL_DATA_VAULT_TOKEN: secret(z.string().min(1)).optional(),
};

/** What a service reads that keeps personal data. */
export const personalConfig = {
  ...keyServiceConfig,
  /**
   * Whether names, contacts and addresses are written sealed, where there are master keys. `plain` still reads what is sealed, and writes
   * it back plain by and by: for the rollout from a version that cannot read it, and for the way back to one.
   */
  PERSONAL_DATA: z.enum(["sealed", "plain"]).default("sealed"),
  /** The master keys, one a line: `name base64-of-32-bytes`. The last one wraps, all unwrap. Without any, personal data lies plain. */
  PERSONAL_DATA_KEYS: secret(keysText).optional(),
  /** Between two looks for what is to be sealed yet, or wrapped by another master key; four times that while there is nothing. */
  PERSONAL_DATA_SWEEP_MS: z.coerce.number().int().min(1).default(30_000),
};

type KeyServiceSettings = ConfigOf<typeof keyServiceConfig>;

/** The values by which personal data is sealed; without those of a key service there is none. */
export type PersonalSettings = Omit<ConfigOf<typeof personalConfig>, keyof KeyServiceSettings> &
  Partial<KeyServiceSettings>;

/** Seals and opens as a configuration says. @throws ConfigError when a key service is not said where, or as whom it is asked */
export function personalDataOf(config: PersonalSettings): PersonalData {
  const { PERSONAL_DATA_KEYS: secretKeys, PERSONAL_DATA: mode } = config;
  const file = secretKeys && new FileKeys(new KeyRing(secretKeys, masterKeys));
  const keys = config.PERSONAL_DATA_KEY_SERVICE === "vault" ? vaultKeys(config, file) : file;
  return new PersonalData({ keys, seals: mode === "sealed" });
}

function vaultKeys(config: PersonalSettings, file: FileKeys | undefined): KeyProvider {
  const { PERSONAL_DATA_VAULT_URL: address, PERSONAL_DATA_VAULT_KEY: key = "ordermesh" } = config;
  if (address === undefined) throw new ConfigError("PERSONAL_DATA_VAULT_URL is not set, and its key service is Vault");
  const service = new VaultTransit({
    address,
    key,
    mount: config.PERSONAL_DATA_VAULT_MOUNT ?? "transit",
    namespace: config.PERSONAL_DATA_VAULT_NAMESPACE,
    login: loginOf(config),
    timeoutMs: config.PERSONAL_DATA_KEY_TIMEOUT_MS ?? 2_000,
  });
  const envelope = new EnvelopeKeys({ service, reuseMs: config.PERSONAL_DATA_KEY_REUSE_MS ?? 3_600_000 });
  if (!file) return envelope;
  return new SuccessiveKeys(envelope, [{ keys: file, owns: (master) => !envelope.has(master) }]);
}

function loginOf(config: PersonalSettings): VaultOptions["login"] {
  const { PERSONAL_DATA_VAULT_TOKEN: token, PERSONAL_DATA_VAULT_ROLE: role } = config;
  const { PERSONAL_DATA_VAULT_LOGIN_MOUNT: mount = "kubernetes", PERSONAL_DATA_VAULT_LOGIN_TOKEN: tokenFile = "" } =
    config;
  if (token && role === undefined) return token;
  if (role !== undefined && !token) return { mount, role, tokenFile };
  throw new ConfigError(
    "one of PERSONAL_DATA_VAULT_ROLE and PERSONAL_DATA_VAULT_TOKEN says who asks Vault, and not both",
  );
}
