import { accessSync, constants } from "node:fs";
import { type ChannelCredentials, experimental, type ServerCredentials } from "@grpc/grpc-js";
import { ConfigError } from "#platform/config.ts";

/** Where a process has its certificate, its key and the certificates of those whom it trusts: paths of PEM files. */
export interface TlsConfig {
  readonly GRPC_TLS_CERT?: string | undefined;
  readonly GRPC_TLS_KEY?: string | undefined;
  readonly GRPC_TLS_CA?: string | undefined;
  readonly GRPC_TLS_REFRESH_MS: number;
}

/** TLS on both ends of gRPC: either side shows a certificate, and takes only one of the authority that it trusts. */
export interface Tls {
  /** For a listener: refuses callers without a certificate of the authority. */
  server(): ServerCredentials;
  /** For a channel: refuses callees whose certificate is not for the name that was called. */
  channel(): ChannelCredentials;
}

/**
 * TLS as configured; undefined when no file is named.
 *
 * @throws ConfigError when only some of the files are named, or one cannot be read
 */
export function tlsOf(config: TlsConfig): Tls | undefined {
  const { GRPC_TLS_CERT: certificateFile, GRPC_TLS_KEY: privateKeyFile, GRPC_TLS_CA: caCertificateFile } = config;
  if (!certificateFile && !privateKeyFile && !caCertificateFile) return undefined;
  if (!certificateFile || !privateKeyFile || !caCertificateFile) {
    throw new ConfigError("GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA are set together or not at all");
  }
  for (const file of [certificateFile, privateKeyFile, caCertificateFile]) requireReadable(file);
  const files = { certificateFile, privateKeyFile, caCertificateFile, refreshIntervalMs: config.GRPC_TLS_REFRESH_MS };
  const provider = new experimental.FileWatcherCertificateProvider(files);
  return {
    server: () => experimental.createCertificateProviderServerCredentials(provider, provider, true),
    channel: () => experimental.createCertificateProviderChannelCredentials(provider, provider),
  };
}

function requireReadable(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch {
    throw new ConfigError(`the file ${file}, which TLS needs, cannot be read`);
  }
}
