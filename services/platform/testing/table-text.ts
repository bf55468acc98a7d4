import pg from "pg";

/** Everything that a database's own tables hold, as text; bytes as the text that they may be. */
export async function textOfTables(adminUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      "select oid::regclass::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    );
    const texts: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ text: string }>(`select t::text as text from ${name} t`);
      texts.push(...rows.map(({ text }) => `${name}: ${text}`));
    }
    const whole = texts.join("\n");
    const bytes = [...whole.matchAll(/\\\\x((?:[0-9a-f]{2})+)/g)].map(([, hex = ""]) =>
      Buffer.from(hex, "hex").toString(),
    );
    return [whole, ...bytes].join("\n");
  } finally {
    await client.end();
  }
}
