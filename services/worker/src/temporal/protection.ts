// biome-ignore lint/plugin/files: files that the settings name
import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import type { NativeConnectionOptions } from "@temporalio/worker";
import { ConfigError } from "#platform/config.ts";
import type { TemporalConfig } from "./temporal-config.ts";

const needTls = [
  "TEMPORAL_TLS_CA",
  "TEMPORAL_TLS_CERT",
  "TEMPORAL_TLS_KEY",
  "TEMPORAL_TLS_SERVER_NAME",
  "TEMPORAL_API_KEY",
] as const;

/** How a connection to Temporal is protected; files are PEM. See `temporalConfig`. */
export type ProtectionConfig = Pick<TemporalConfig, "TEMPORAL_TLS" | (typeof needTls)[number]>;

/**
 * TLS and credentials of a connection to Temporal, as its client takes them. Files are read now: what is renewed later
 * counts from the next start.
 *
 * @throws ConfigError when something is named that needs TLS while that is off, a certificate has no key or a key no
 *   certificate, or a file cannot be read
 */
export function protectionOf(config: ProtectionConfig): Pick<NativeConnectionOptions, "tls" | "apiKey"> {
  const { TEMPORAL_TLS_CERT: certificate, TEMPORAL_TLS_KEY: key, TEMPORAL_API_KEY: apiKey } = config;
  const { TEMPORAL_TLS_CA: authority, TEMPORAL_TLS_SERVER_NAME: serverName } = config;
  if (!config.TEMPORAL_TLS) {
    const useless = needTls.find((name) => config[name] !== undefined);
    if (useless) throw new ConfigError(`${useless} needs TLS: set TEMPORAL_TLS=true as well`);
    return { tls: false };
  }
  if (!certificate !== !key)
    throw new ConfigError("TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY are set together or not at all");
  const tls = {
    // The client itself would look for the machine's, which a slim image does not have.
    serverRootCACertificate: authority ? read("TEMPORAL_TLS_CA", authority) : Buffer.from(rootCertificates.join("\n")),
    ...(certificate &&
      key && { clientCertPair: { crt: read("TEMPORAL_TLS_CERT", certificate), key: read("TEMPORAL_TLS_KEY", key) } }),
    ...(serverName && { serverNameOverride: serverName }),
  };
  return { tls, ...(apiKey && { apiKey: apiKey.text }) };
}

function read(variable: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new ConfigError(`the file ${file} cannot be read (${variable})`, { cause });
  }
}
