import type { Socket } from "node:net";
import type { PeerCertificate } from "node:tls";
import type { ServiceCertificates } from "#platform/authorization/service-certificates.ts";
import type { Peer } from "#platform/caller.ts";

/** What a call of grpc-js knows of its connection. */
export interface CallOfPeer {
  /** The other end's address and port. */
  getPeer(): string;
  /** Nothing is in it without TLS. Each time the certificate is read anew, some 100 µs. */
  getAuthContext(): { readonly sslPeerCertificate?: Pick<PeerCertificate, "subjectaltname"> };
}

/** Who is at the other end of a call's connection; undefined where nobody is asked. */
export type PeerOf = (call: CallOfPeer) => Peer | undefined;

interface Connection {
  /** Known once a call has asked. */
  peer?: Peer;
  /** Whether another connection has the same address: to another address of ours, or by way of one that translates them. */
  shared: boolean;
}

/** Who is at the other ends of the open connections: each certificate is judged once, however many calls come over its connection. */
export class Peers {
  readonly #certificates: ServiceCertificates | undefined;
  readonly #connections = new Map<string, Connection>();

  /** @param certificates who judges; nobody is asked without it */
  constructor(certificates: ServiceCertificates | undefined) {
    this.#certificates = certificates;
  }

  /** Follows a connection from its beginning to its end. */
  add(socket: Socket): void {
    if (!this.#certificates) return;
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    const other = this.#connections.get(address);
    if (other) {
      other.shared = true;
      return;
    }
    this.#connections.set(address, { shared: false });
    socket.once("close", () => this.#connections.delete(address));
  }

  readonly peerOf: PeerOf = (call) => {
    if (!this.#certificates) return undefined;
    const connection = this.#connections.get(call.getPeer());
    if (connection?.peer && !connection.shared) return connection.peer;
    const peer = this.#certificates.judge(call.getAuthContext().sslPeerCertificate?.subjectaltname);
    if (connection) connection.peer = peer;
    return peer;
  };
}
