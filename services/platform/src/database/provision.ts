import pg from "pg";

/** A service's database and its three roles, on a server where we may create them. */
export interface Provision {
  /** A superuser's connection to any database of the server. */
  readonly adminUrl: string;
  /** The service: the runtime role is called so, the owner `<service>_owner`, the reader `<service>_reader`. */
  readonly service: string;
  /** Default: the service. */
  readonly databaseName?: string;
  readonly password: string;
  readonly ownerPassword: string;
  readonly readerPassword: string;
}

/** Connections to a service's database, by role. */
export interface Provisioned {
  readonly url: string;
  readonly ownerUrl: string;
  readonly readerUrl: string;
}

/** Any number, the same in every process: roles belong to the whole server, and two runs may want the same ones. */
const lockKey = 7_203_116;

/**
 * Creates the roles and the database where they are missing; what is there stays. The runtime role may connect and
 * use what the migrations grant; the owner may change the schema; the reader may look at what the migrations let it see,
 * and begins no transaction that writes. Returns their connections.
 */
export async function provisionDatabase(provision: Provision): Promise<Provisioned> {
  const { service, databaseName = service } = provision;
  const owner = `${service}_owner`;
  const reader = `${service}_reader`;
  const client = new pg.Client({ connectionString: provision.adminUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [lockKey]);
    await createRole(client, service, provision.password);
    await createRole(client, owner, provision.ownerPassword);
    await createRole(client, reader, provision.readerPassword);
    await client.query(`alter role ${pg.escapeIdentifier(reader)} set default_transaction_read_only = on`);
    const name = pg.escapeIdentifier(databaseName);
    const { rowCount } = await client.query("select from pg_database where datname = $1", [databaseName]);
    if (rowCount === 0) await client.query(`create database ${name} owner ${pg.escapeIdentifier(owner)}`);
    await client.query(`revoke all on database ${name} from public`);
    const roles = [service, reader].map((role) => pg.escapeIdentifier(role)).join(", ");
    await client.query(`grant connect on database ${name} to ${roles}`);
  } finally {
    await client.end();
  }
  const { adminUrl, password, ownerPassword, readerPassword } = provision;
  return {
    url: connectionUrl(adminUrl, service, { password, databaseName }),
    ownerUrl: connectionUrl(adminUrl, owner, { password: ownerPassword, databaseName }),
    readerUrl: connectionUrl(adminUrl, reader, { password: readerPassword, databaseName }),
  };
}

async function createRole(client: pg.Client, role: string, password: string): Promise<void> {
  const { rowCount } = await client.query("select from pg_roles where rolname = $1", [role]);
  const verb = rowCount === 0 ? "create" : "alter";
  await client.query(
    `${verb} role ${pg.escapeIdentifier(role)} login nosuperuser nocreatedb nocreaterole password ${pg.escapeLiteral(password)}`,
  );
}

function connectionUrl(adminUrl: string, user: string, to: { password: string; databaseName: string }): string {
  const url = new URL(adminUrl);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(to.password);
  url.pathname = `/${encodeURIComponent(to.databaseName)}`;
  return url.href;
}
