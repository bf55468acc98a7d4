/** The five-character SQLSTATE of an error or of one of its causes; undefined when PostgreSQL did not send it. */
export function sqlStateOf(error: unknown): string | undefined {
  let current: unknown = error;
  for (let depth = 0; current instanceof Error && depth < 8; depth += 1) {
    if ("code" in current && typeof current.code === "string" && /^[0-9A-Z]{5}$/.test(current.code))
      return current.code;
    current = current.cause;
  }
  return undefined;
}

/** Whether the values of a statement caused it: SQLSTATE class 22 (data exception) or 23 (constraint violation). */
export function isDataError(error: unknown): boolean {
  return /^2[23]/.test(sqlStateOf(error) ?? "");
}

/** Whether two rows met at a unique constraint of this name. */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return (
    sqlStateOf(error) === "23505" && error instanceof Error && "constraint" in error && error.constraint === constraint
  );
}
