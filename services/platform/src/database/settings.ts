/** What every connection to a database begins with: names and values of settings. */
export type DatabaseSettings = Readonly<Record<string, string>>;

/** The statements by which a migration gives its database these settings. Connections that are open keep what they have. */
export function setDefaults(settings: DatabaseSettings): string[] {
  return Object.entries(settings).map(([name, value]) => alterDatabase(`set ${name} = ${value}`));
}

/** The statements that take the settings back. */
export function resetDefaults(settings: DatabaseSettings): string[] {
  return Object.keys(settings).map((name) => alterDatabase(`reset ${name}`));
}

/** A migration does not know what its database is called. */
function alterDatabase(change: string): string {
  return `do $$ begin execute format('alter database %I ${change}', current_database()); end $$`;
}
