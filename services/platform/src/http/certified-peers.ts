import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { ServiceCertificates } from "#platform/authorization/service-certificates.ts";
import type { Peer } from "#platform/caller.ts";

/** Who is at the other ends of connections of HTTP: each certificate is judged once, however many requests come over its connection. */
export class HttpPeers {
  readonly #certificates: ServiceCertificates;
  readonly #known = new WeakMap<TLSSocket, Peer>();

  constructor(certificates: ServiceCertificates) {
    this.#certificates = certificates;
  }

  /** Who sends a request; undefined when no certificate was shown. */
  peerOf({ socket }: IncomingMessage): Peer | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    const known = this.#known.get(socket);
    if (known) return known;
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return undefined;
    const problem = "the certificate is of an authority that is not trusted here";
    const peer = socket.authorized ? this.#certificates.judge(certificate.subjectAltName) : { problem };
    this.#known.set(socket, peer);
    return peer;
  }
}
