/** The roles of somebody's tokens, and those that they do not have. */
export interface GivenRoles {
  readonly given: readonly string[];
  readonly withheld: readonly string[];
}

/** The roles that count only in a session that was begun with a second factor. */
export class RequiredRoles {
  readonly #required: ReadonlySet<string>;

  constructor(required: readonly string[]) {
    this.#required = new Set(required);
  }

  /** @param secondFactor whether the session was begun with one */
  of(roles: readonly string[], secondFactor: boolean): GivenRoles {
    if (secondFactor) return { given: roles, withheld: [] };
    const isWithheld = (role: string) => this.#required.has(role);
    return { given: roles.filter((role) => !isWithheld(role)), withheld: roles.filter(isWithheld) };
  }
}
