import type { Role } from "#gen/shop/type/v1/access_pb.js";

/** Who calls, as a credential has proved it. */
export interface Caller {
  /** A person's id, `key:<id>` of a program's key, or `service:<name>`: the actor in the audit log. */
  readonly subject: string;
  readonly roles: ReadonlySet<Role>;
  /** The session of whoever has logged in, where the service that asks has to know it: identity itself. */
  readonly session?: string | undefined;
  /** The name of a service of ours; undefined for everybody else. */
  readonly service?: string | undefined;
  /** Whether the credential says that it was given to somebody who logged in; a program's does not. */
  readonly person?: boolean | undefined;
}

/** A service of ours as a caller. */
export function serviceCaller(service: string): Caller {
  return { subject: `service:${service}`, roles: new Set(), service };
}

/** Who is at the other end of a connection, by the certificate that it has shown and somebody whom we trust has signed. */
export interface Peer {
  /** The name of a service of ours. */
  readonly service?: string;
  /** Why the certificate proves nobody, for the log; undefined when it does. */
  readonly problem?: string;
}

/** What callers prove who they are with, as a service takes it. */
export interface Credentials {
  /**
   * Who shows this, the text behind `Bearer`.
   *
   * @throws CREDENTIAL_REFUSED, or UNAVAILABLE when it cannot be judged at the moment
   */
  verify(credential: string): Promise<Caller>;
  /** Who shows this, when that was proved a moment ago and need not be asked again: most calls wait for nothing then. */
  known?(credential: string): Caller | undefined;
  /** Whether it was proved before, so that it is no guess; without this any may be one. */
  isKnown?(credential: string): boolean;
}
