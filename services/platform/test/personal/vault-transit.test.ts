// Keys of persons that Vault's transit engine guards, against a small Vault: it knows tokens and who may have one, and versions of keys.
import assert from "node:assert/strict";
import { createSecretKey, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import type { Queryable } from "#platform/database/transaction.ts";
import { PlatformError } from "#platform/errors.ts";
import { KeyRing, keysText } from "#platform/key-ring.ts";
import { EnvelopeKeys, SuccessiveKeys } from "#platform/personal/envelope-keys.ts";
import { FileKeys, type KeyProvider, masterKeys, type WrappedKey } from "#platform/personal/key-provider.ts";
import { PersonalData } from "#platform/personal/personal-data.ts";
import { type PersonalKeyRow, rewrapKeys } from "#platform/personal/personal-key.ts";
import { VaultTransit } from "#platform/personal/vault-transit.ts";
import { newIvs, open, seal } from "#platform/sealing.ts";
import { Secret } from "#platform/secret.ts";

const minute = 60_000;
const leaseSeconds = 600;
const reuseMs = 60 * minute;
const nothing = Buffer.alloc(0);

/** Of Vault what is used here; its time is the test's. */
class SmallVault {
  /** What came, without what was in it. */
  readonly calls: string[] = [];
  /** What it answers to everything while it is set. */
  trouble: number | "hangs" | undefined;
  renewable = true;
  /** The token of the pod that it takes. */
  jwt = "pod-1";
  readonly tokens = new Map<string, number>();
  readonly #versions = [createSecretKey(randomBytes(32))];
  readonly #server: Server;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  rotate(): void {
    this.#versions.push(createSecretKey(randomBytes(32)));
  }

  count(path: string): number {
    return this.calls.filter((call) => call === path).length;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request)) as Record<string, string>;
    const path = (request.url ?? "").replace(/^\/v1\//, "");
    this.calls.push(path);
    if (this.trouble === "hangs") return;
    const token = request.headers["x-vault-token"];
    const [status, answer] =
      this.trouble !== undefined ? [this.trouble, { errors: [] }] : this.#answer(path, String(token ?? ""), body);
    response.writeHead(request.method === "POST" ? status : 405).end(JSON.stringify(answer));
  }

  #answer(path: string, token: string, body: Record<string, string>): [number, object] {
    if (path === "auth/kubernetes/login") {
      return body.role === "orders" && body.jwt === this.jwt ? [200, this.#lease(randomUUID())] : [403, {}];
    }
    if (!((this.tokens.get(token) ?? 0) > this.#now())) return [403, { errors: ["permission denied"] }];
    if (path === "auth/token/renew-self") return this.renewable ? [200, this.#lease(token)] : [400, {}];
    if (path === "transit/datakey/plaintext/persons") {
      const plain = randomBytes(Number(body.bits) / 8);
      return [200, { data: { plaintext: plain.toString("base64"), ciphertext: this.#seal(plain) } }];
    }
    if (path === "transit/decrypt/persons") {
      const plain = this.#open(body.ciphertext ?? "");
      return plain
        ? [200, { data: { plaintext: plain.toString("base64") } }]
        : [400, { errors: ["invalid ciphertext"] }];
    }
    return [404, {}];
  }

  #lease(token: string): object {
    this.tokens.set(token, this.#now() + 1000 * leaseSeconds);
    return { auth: { client_token: token, lease_duration: leaseSeconds, renewable: true } };
  }

  #seal(plain: Buffer): string {
    const key = this.#versions.at(-1) as KeyObject;
    const sealed = seal(plain, { key, iv: newIvs(1)[0] as Buffer, associated: nothing });
    return `vault:v${this.#versions.length}:${sealed.toString("base64")}`;
  }

  #open(text: string): Buffer | undefined {
    const [, version = "", sealed = ""] = text.split(":");
    const key = this.#versions[Number(version.slice(1)) - 1];
    try {
      return key && open(Buffer.from(sealed, "base64"), key, nothing);
    } catch {
      return undefined;
    }
  }
}

describe("keys of persons in Vault's transit engine", () => {
  let now: number;
  let vault: SmallVault;
  let address: string;
  let folder: string;
  let tokenFile: string;
  beforeEach(async () => {
    now = Date.parse("2026-12-01T00:00:00Z");
    vault = new SmallVault(() => now);
    address = await vault.open();
    folder = mkdtempSync(join(tmpdir(), "vault-"));
    tokenFile = join(folder, "token");
    writeFileSync(tokenFile, "pod-1\n");
  });
  afterEach(() => {
    vault.close();
    rmSync(folder, { recursive: true });
  });

  function provider(): EnvelopeKeys {
    const login = { mount: "kubernetes", role: "orders", tokenFile };
    const options = { address, mount: "transit", key: "persons", login, timeoutMs: 500, now: () => now };
    return new EnvelopeKeys({ service: new VaultTransit(options), reuseMs, now: () => now });
  }

  async function wrapMany(
    keys: KeyProvider,
    many: number,
  ): Promise<{ id: string; plain: Buffer; wrapped: WrappedKey }[]> {
    return Promise.all(
      Array.from({ length: many }, async (_, n) => {
        const [id, plain] = [`key-${n}`, randomBytes(32)];
        return { id, plain, wrapped: await keys.wrap(plain, id) };
      }),
    );
  }

  /** What a call is refused with. */
  async function unavailable(call: Promise<unknown>): Promise<string> {
    const error = await call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof PlatformError, String(error));
    assert.equal(error.code, Code.Unavailable);
    return error.message;
  }

  it("are wrapped by one key of the hour, whoever asks and how often, and opened by another process", async () => {
    const all = await wrapMany(provider(), 200);
    assert.deepEqual(vault.calls, ["auth/kubernetes/login", "transit/datakey/plaintext/persons"]);
    assert.deepEqual(new Set(all.map(({ wrapped }) => wrapped.master)), new Set(["vault:persons:v1"]));
    const other = provider();
    const opened = await Promise.all(all.map(({ id, wrapped }) => other.unwrap(wrapped, id)));
    assert.deepEqual(
      opened,
      all.map(({ plain }) => plain),
    );
    assert.equal(vault.count("transit/decrypt/persons"), 1);
    const [first] = all;
    assert.ok(first);
    await assert.rejects(other.unwrap(first.wrapped, "key-1"), /authenticate/);
    assert.ok(!first.wrapped.wrapped.includes(" "), "as SQL puts it behind a sealed text");
  });

  it("are asked for with a token that is renewed while it can be, and had anew when not, or when it was revoked", async () => {
    const keys = provider();
    await keys.wrap(randomBytes(32), "a");
    now += (leaseSeconds / 2) * 1000 + reuseMs;
    // Its time is over besides: nothing is renewed that has ended.
    await keys.wrap(randomBytes(32), "b");
    assert.deepEqual([vault.count("auth/kubernetes/login"), vault.count("auth/token/renew-self")], [2, 0]);
    const other = provider();
    const [before] = await wrapMany(keys, 1);
    await other.unwrap((before as { wrapped: WrappedKey }).wrapped, "key-0");
    now += (leaseSeconds / 2) * 1000 + 1;
    const fresh = await provider().wrap(randomBytes(32), "c");
    await other.unwrap(fresh, "c");
    assert.equal(vault.count("auth/token/renew-self"), 1);
    vault.renewable = false;
    now += (leaseSeconds / 2) * 1000 + 1;
    const logins = vault.count("auth/kubernetes/login");
    await other.unwrap(await provider().wrap(randomBytes(32), "d"), "d");
    assert.equal(vault.count("auth/kubernetes/login"), logins + 2, "one of each process");

    vault.tokens.clear();
    vault.jwt = "pod-2";
    writeFileSync(tokenFile, "pod-2");
    const last = await provider().wrap(randomBytes(32), "e");
    await other.unwrap(last, "e");
    vault.jwt = "somebody else's";
    vault.tokens.clear();
    now += reuseMs;
    assert.match(
      await unavailable(other.wrap(randomBytes(32), "f")),
      /its key service refuses this service: see its role and policy/,
    );
  });

  for (const trouble of [503, 429, "hangs"] as const) {
    it(`are opened as long as they are known while it is away (${trouble}), and others are refused with a reason`, async () => {
      const keys = provider();
      const [known] = await wrapMany(keys, 1);
      const [stranger] = await wrapMany(provider(), 1);
      assert.ok(known && stranger);
      vault.trouble = trouble;
      assert.deepEqual(await keys.unwrap(known.wrapped, known.id), known.plain);
      await keys.wrap(randomBytes(32), "the hour is not over");
      const refused = await unavailable(keys.unwrap(stranger.wrapped, stranger.id));
      assert.match(
        refused,
        /^personal data cannot be sealed or opened now: its key service (does not answer|answers with \d+)$/,
      );
      const before = vault.calls.length;
      await unavailable(keys.unwrap(stranger.wrapped, stranger.id));
      assert.equal(vault.calls.length, before, "nobody waits once more for what has just failed");
      now += reuseMs;
      await unavailable(keys.wrap(randomBytes(32), "the hour is over"));
      assert.deepEqual(await keys.unwrap(known.wrapped, known.id), known.plain);
      vault.trouble = undefined;
      now += 2_000;
      assert.deepEqual(await keys.unwrap(stranger.wrapped, stranger.id), stranger.plain);
      await keys.wrap(randomBytes(32), "the next hour");
    });
  }

  it("are not opened when they were changed, and that is no outage", async () => {
    const [one] = await wrapMany(provider(), 1);
    assert.ok(one);
    const [wrapped = "", sealed = ""] = one.wrapped.wrapped.split(".");
    const changed = { ...one.wrapped, wrapped: `${wrapped}.${sealed.slice(0, -8)}AAAAAAA=` };
    await assert.rejects(provider().unwrap(changed, one.id), (error: Error) => {
      return !(error instanceof PlatformError) && /refuses what it is given/.test(error.message);
    });
  });

  /** The table of keys, as `rewrapKeys` asks for it. */
  function tableOf(rows: PersonalKeyRow[]) {
    const query: Queryable["query"] = async <R>(sql: { name?: string } | string, values: readonly unknown[] = []) => {
      const name = typeof sql === "string" ? sql : sql.name;
      if (name === "personal_key_former") {
        const [former, limit] = values as [string[], number];
        return rows.filter(({ master }) => former.includes(master)).slice(0, limit) as R[];
      }
      assert.equal(name, "personal_key_rewrap");
      for (const anew of JSON.parse(String(values[0])) as PersonalKeyRow[]) {
        rows[rows.findIndex((row) => row.key_id === anew.key_id)] = anew;
      }
      return [];
    };
    return { transaction: <T>(work: (tx: Queryable) => Promise<T>) => work({ query }) };
  }

  it("are wrapped anew when its key is rotated, and when a file of keys is left for it", async () => {
    const text = `spring ${randomBytes(32).toString("base64")}`;
    const file = new FileKeys(new KeyRing(new Secret(text, keysText), masterKeys));
    const before = new PersonalData({ keys: file, seals: true });
    const sealed = await Promise.all([1, 2, 3].map((n) => before.seal(`place/${n}`, { n })));
    const rows = sealed.map(({ key }) => key);
    const envelope = provider();
    const keys = new SuccessiveKeys(envelope, [{ keys: file, owns: (master) => !envelope.has(master) }]);
    assert.deepEqual([await rewrapKeys(tableOf(rows), keys, 2), await rewrapKeys(tableOf(rows), keys, 2)], [2, 1]);
    assert.equal(await rewrapKeys(tableOf(rows), keys), 0);
    assert.deepEqual(new Set(rows.map(({ master }) => master)), new Set(["vault:persons:v1"]));

    vault.rotate();
    assert.equal(await rewrapKeys(tableOf(rows), keys), 0, "not before the hour is over");
    now += reuseMs;
    await keys.wrap(randomBytes(32), "of the next hour");
    assert.equal(keys.current, "vault:persons:v2");
    assert.equal(await rewrapKeys(tableOf(rows), keys), 3);
    const after = new PersonalData({ keys: provider(), seals: true });
    for (const [index, { text: value }] of sealed.entries()) {
      const { master = "", wrapped = "" } = rows[index] ?? {};
      assert.deepEqual(await after.open(`place/${index + 1}`, `${value} ${master} ${wrapped}`), { n: index + 1 });
    }
    assert.deepEqual(new Set(rows.map(({ master }) => master)), new Set(["vault:persons:v2"]));
  });
});
