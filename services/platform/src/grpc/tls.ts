import { type ChannelCredentials, experimental, type ServerCredentials } from "@grpc/grpc-js";
import type { TlsFiles } from "#platform/tls/tls-files.ts";

/** For a listener of gRPC: refuses callers without a certificate of the authority that we trust. */
export function serverCredentials(files: TlsFiles): ServerCredentials {
  return experimental.createCertificateProviderServerCredentials(files, files, true);
}

/** For a channel: shows our certificate, and refuses callees whose own is not for the name that was called. */
export function channelCredentials(files: TlsFiles): ChannelCredentials {
  return experimental.createCertificateProviderChannelCredentials(files, files);
}
