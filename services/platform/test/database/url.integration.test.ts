// The ways to write where a database is, against a real server that speaks IPv6 and TLS.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, chown } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Migration } from "@mikro-orm/migrations";
import pg from "pg";
import { ConfigError, databaseUrl, loadConfig } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { migrateUp } from "#platform/database/migrate.ts";
import { type Provisioned, provisionDatabase } from "#platform/database/provision.ts";
import { Authority } from "#testing/certificates.ts";
import { startEmbedded } from "#testing/postgres.ts";

const password = "p@s/s%41:?#[] &+=ü";

class First extends Migration {
  override up(): void {
    this.addSql("create table note (id int8 primary key)");
    this.addSql("grant select on note to platform");
  }
  override down(): void {
    this.addSql("drop table note");
  }
}

describe("where a database is", () => {
  let authority: Authority;
  let provisioned: Provisioned;

  before(async () => {
    authority = await Authority.create();
    const { GRPC_TLS_CERT: certificate, GRPC_TLS_KEY: key } = await authority.issue("localhost");
    await chmod(authority.folder, 0o755);
    await chmod(key, 0o600);
    const tls = ["ssl=on", `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`];
    // As root, the server runs as another user, whose its key has to be.
    if (process.getuid?.() === 0) {
      const of = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
      await chown(key, of("-u"), of("-g"));
    }
    const adminUrl = await startEmbedded(["fsync=off", "listen_addresses=127.0.0.1,::1", ...tls]);
    provisioned = await provisionDatabase({
      adminUrl,
      service: "platform",
      password,
      ownerPassword: password,
      readerPassword: password,
    });
  });
  after(async () => authority[Symbol.asyncDispose]());

  /** Changes a part of the URL. */
  function urlWith(change: (url: URL) => void): string {
    const url = new URL(provisioned.url);
    change(url);
    return databaseUrl.parse(url.href);
  }

  /** What the server says of a connection of the pool, and of MikroORM's. */
  async function connect(url: string): Promise<{ tls: boolean; address: string }> {
    const database = await Database.open({ url, name: "url", entities: [] });
    try {
      const sql =
        "select (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as tls, host(inet_client_addr()) as address";
      const [row] = await database.query<{ tls: boolean; address: string }>(sql);
      const [same] = await database.em().execute<{ tls: boolean; address: string }[]>(sql);
      assert.deepEqual(same, row);
      assert.ok(row);
      const stop = await database.listen("news", () => undefined);
      await stop();
      return row;
    } finally {
      await database.close();
    }
  }

  it("takes a password of all characters, in every role", async () => {
    assert.deepEqual(await migrateUp({ url: provisioned.ownerUrl, migrations: [{ name: "0001", class: First }] }), [
      "0001",
    ]);
    assert.deepEqual(await connect(provisioned.url), { tls: false, address: "127.0.0.1" });
    const reader = new pg.Client({ connectionString: provisioned.readerUrl });
    await reader.connect();
    await reader.end();
  });

  it("takes an address of IPv6", async () => {
    assert.deepEqual(await connect(urlWith((url) => (url.hostname = "[::1]"))), { tls: false, address: "::1" });
  });

  const trusted = ["verify-full", "verify-ca", "require", "prefer", "allow"];
  for (const mode of trusted) {
    it(`takes sslmode=${mode} of a server whose certificate is signed by whom we trust, and no other`, async () => {
      const local = (url: URL) => {
        url.hostname = "localhost";
        url.searchParams.set("sslmode", mode);
      };
      await assert.rejects(connect(urlWith(local)), /certificate/);
      const known = urlWith((url) => {
        local(url);
        url.searchParams.set("sslrootcert", join(authority.folder, "ca.crt"));
      });
      assert.equal((await connect(known)).tls, true);
    });
  }

  it("takes sslmode=no-verify, sslmode=disable, and what the server's own library makes of require", async () => {
    const withMode = (mode: string, more = {}) =>
      urlWith((url) => {
        url.searchParams.set("sslmode", mode);
        for (const [name, value] of Object.entries<string>(more)) url.searchParams.set(name, value);
      });
    assert.equal((await connect(withMode("no-verify"))).tls, true);
    assert.equal((await connect(withMode("disable"))).tls, false);
    assert.equal((await connect(withMode("require", { uselibpqcompat: "true" }))).tls, true);
  });

  const wrong: Readonly<Record<string, string>> = {
    "a slash in the password": "postgres://orders:a/b@db:5432/orders",
    "a question mark in the password": "postgres://orders:a?b@db:5432/orders",
    "a hash in the password": "postgres://orders:a#b@db:5432/orders",
    "a % that stands for nothing": "postgres://orders:50%off@db:5432/orders",
    "another kind of URL": "mysql://orders:a@db:3306/orders",
  };
  for (const [what, url] of Object.entries(wrong)) {
    it(`says how to write it, and not the password: ${what}`, () => {
      assert.throws(
        () => loadConfig({ DATABASE_URL: databaseUrl }, { DATABASE_URL: url }),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, /DATABASE_URL: .*%25/);
          assert.doesNotMatch(error.message, /off|a\/b/);
          return true;
        },
      );
    });
  }
});
