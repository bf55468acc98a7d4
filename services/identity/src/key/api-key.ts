/** The credential of a program. */
export interface ApiKey {
  readonly apiKeyId: string;
  readonly name: string;
  /** As `Role` of the contract names them, in small letters. */
  readonly roles: readonly string[];
  readonly createTime: Date;
  readonly expireTime: Date;
  readonly lastUseTime: Date | null;
  readonly revokeTime: Date | null;
}

/** A key to be made. */
export interface NewApiKey {
  readonly name: string;
  readonly roles: readonly string[];
  readonly lifetimeMs: number;
}

/** Who shows a key: in access tokens, and in audit logs. */
export function keySubject(apiKeyId: string): string {
  return `key:${apiKeyId}`;
}
