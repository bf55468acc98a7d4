// Registration, login, sessions, and what becomes of those who guess or steal.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { hashOf } from "../src/proof/secret-text.ts";
import { identityDatabase, password, Replica, reasonOf } from "./harness.ts";

let database: TestDatabase;
let replica: Replica;
before(async () => {
  database = await identityDatabase();
  replica = await Replica.on(database.database);
});
after(async () => {
  replica?.[Symbol.dispose]();
  await database?.[Symbol.asyncDispose]();
});

const query = (sql: string, ...values: unknown[]) => database.database.query(sql, values);

describe("a password that is set by mail", () => {
  it("makes somebody a person, a customer, whose id is that of the login", async () => {
    const ada = await replica.person("ada");
    const { personId } = await replica.people.login({ email: " ADA@example.com".trim(), password });
    assert.equal(personId, ada.personId);
    const { person } = await replica.admin().getPerson({ personId });
    assert.deepEqual([person?.email, person?.roles], ["ada@example.com", [Role.CUSTOMER]]);
  });

  it("is reset by another mail: the old one is over, and so are all sessions", async () => {
    const bea = await replica.person("bea");
    const { refreshToken } = await bea.login();
    await query("update mail_token set create_time = create_time - interval '2 minutes'");
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email: bea.email }));
    const other = "nine wild otters sleeping";
    assert.equal((await replica.people.setPassword({ token, password: other })).personId, bea.personId);
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    assert.equal(await reasonOf(replica.people.login({ email: bea.email, password })), "LOGIN_REFUSED");
    await replica.people.login({ email: bea.email, password: other });
  });

  it("wants a token that was given, once, in time", async () => {
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email: "cleo@example.com" }));
    await replica.people.setPassword({ token, password });
    assert.equal(await reasonOf(replica.people.setPassword({ token, password })), "TOKEN_OVER");
    assert.equal(await reasonOf(replica.people.setPassword({ token: "made up", password })), "TOKEN_OVER");
    const late = await replica.mailed(() => replica.people.mailPasswordToken({ email: "dora@example.com" }));
    await query("update mail_token set expire_time = now() where hash = $1", hashOf(late.token));
    assert.equal(await reasonOf(replica.people.setPassword({ token: late.token, password })), "TOKEN_OVER");
  });

  it("voids the other tokens of the address", async () => {
    const first = await replica.mailed(() => replica.people.mailPasswordToken({ email: "emma@example.com" }));
    await query("update mail_token set create_time = create_time - interval '2 minutes'");
    const second = await replica.mailed(() => replica.people.mailPasswordToken({ email: "emma@example.com" }));
    assert.equal(await reasonOf(replica.people.setPassword({ token: first.token, password })), "TOKEN_OVER");
    await replica.people.setPassword({ token: second.token, password });
    assert.equal(await reasonOf(replica.people.setPassword({ token: second.token, password })), "TOKEN_OVER");
  });

  it("has ten minutes, and another address's mail does not end it", async () => {
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email: "erna@example.com" }));
    await replica.mailed(() => replica.people.mailPasswordToken({ email: "elke@example.com" }));
    const rows = await query(
      "select extract(epoch from expire_time - create_time)::int as seconds from mail_token where hash = $1",
      hashOf(token),
    );
    assert.deepEqual(rows, [{ seconds: 600 }]);
    await replica.people.setPassword({ token, password });
  });

  it("is mailed once a minute", async () => {
    await replica.mailed(() => replica.people.mailPasswordToken({ email: "fay@example.com" }));
    const sent = replica.mails;
    await replica.people.mailPasswordToken({ email: "FAY@example.com" });
    await replica.mailed(() => replica.people.mailPasswordToken({ email: "gil@example.com" }));
    assert.equal(replica.mails, sent + 1);
  });

  const weak = [
    ["a short one", "T4&xq!9Lm#2z", "length"],
    ["a common one, twice", "passwordpassword", "guessable"],
    ["a row of keys", "qwertyuiopasdfghjkl", "guessable"],
    ["one letter", "aaaaaaaaaaaaaaaaaaaa", "guessable"],
    ["one's own address", "hanna@example.com", "guessable"],
    ["our own name", "ordermeshordermesh", "guessable"],
  ] as const;
  for (const [what, given, rule] of weak) {
    it(`is not ${what}`, async () => {
      await query("delete from mail_token");
      const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email: "hanna@example.com" }));
      const error = await replica.people.setPassword({ token, password: given }).catch(ConnectError.from);
      assert.ok(error instanceof ConnectError);
      assert.equal(await reasonOf(Promise.reject(error)), "WEAK_PASSWORD");
      assert.match(error.rawMessage, rule === "length" ? /at least 15 characters/ : /one of the first/);
      await replica.people.setPassword({ token, password });
    });
  }

  it("may have any characters, and is the same however Unicode writes them", async () => {
    const { token, email } = await replica.mailed(() => replica.people.mailPasswordToken({ email: "ina@example.com" }));
    await replica.people.setPassword({ token, password: "  sch\u00f6ne \u{1f9a6} gl\u00e4ser  " });
    await replica.people.login({ email, password: "  scho\u0308ne \u{1f9a6} gla\u0308ser  " });
    assert.equal(await reasonOf(replica.people.login({ email, password: "schone \u{1f9a6} glaser" })), "LOGIN_REFUSED");
  });
});

describe("guessing", () => {
  const tries = (email: string, count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, n) => reasonOf(replica.people.login({ email, password: `guess ${n}` }))),
    );

  for (const [whose, name] of [
    ["somebody's", "jane"],
    ["nobody's", "nobody"],
  ] as const) {
    it(`${whose} password is delayed after five attempts, however many are made at once`, async () => {
      if (whose === "somebody's") await replica.person(name);
      const reasons = (await tries(`${name}@example.com`, 12)).toSorted();
      assert.deepEqual(reasons, [
        ...Array.from({ length: 5 }, () => "LOGIN_REFUSED"),
        ...Array.from({ length: 7 }, () => "TOO_MANY_ATTEMPTS"),
      ]);
      const refused = await replica.people.login({ email: `${name}@example.com`, password }).catch(ConnectError.from);
      assert.ok(refused instanceof ConnectError);
      assert.equal(refused.code, Code.ResourceExhausted);
      const [retry] = refused.findDetails(RetryInfoSchema);
      assert.ok(retry?.retryDelay && retry.retryDelay.seconds <= 1n);
    });
  }

  it("waits twice as long each time, to a bound, and at last for a reset", async () => {
    const email = "kate@example.com";
    await replica.person("kate");
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 20; attempt += 1) {
      assert.equal(await reasonOf(replica.people.login({ email, password: "guess" })), "LOGIN_REFUSED");
      const [row] = await database.database.query<{ s: number }>(
        "select extract(epoch from next_time - update_time)::float8 as s from login_attempt order by update_time desc limit 1",
      );
      pauses.push(row?.s ?? 0);
      await query("update login_attempt set next_time = now()");
    }
    assert.deepEqual(pauses.slice(0, 9), [0, 0, 0, 0, 1, 2, 4, 8, 16]);
    assert.equal(pauses.at(-1), 900);
    await query("update login_attempt set attempts = 99");
    assert.equal(await reasonOf(replica.people.login({ email, password: "guess" })), "LOGIN_REFUSED");
    const over = await replica.people.login({ email, password }).catch(ConnectError.from);
    assert.ok(over instanceof ConnectError);
    assert.deepEqual([over.code, over.findDetails(RetryInfoSchema)], [Code.ResourceExhausted, []]);
    await query("update mail_token set create_time = create_time - interval '2 minutes'");
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await replica.people.setPassword({ token, password });
    await replica.people.login({ email, password });
  });

  it("is forgotten when the right password is given", async () => {
    const lena = await replica.person("lena");
    await tries(lena.email, 3);
    await lena.login();
    assert.deepEqual(
      await tries(lena.email, 4),
      Array.from({ length: 4 }, () => "LOGIN_REFUSED"),
    );
  });

  it("takes as long for an address that nobody has", async () => {
    await replica.person("mona");
    const timed = async (email: string) => {
      await query("delete from login_attempt");
      const start = performance.now();
      assert.equal(await reasonOf(replica.people.login({ email, password: "guess" })), "LOGIN_REFUSED");
      return performance.now() - start;
    };
    const times: Record<string, number[]> = { known: [], unknown: [] };
    for (let round = 0; round < 15; round += 1) {
      times.known?.push(await timed("mona@example.com"));
      times.unknown?.push(await timed("who@example.com"));
    }
    const median = (all: number[] = []) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
    const [known, unknown] = [median(times.known), median(times.unknown)];
    // Without the comparison with nobody's password it is a tenth.
    assert.ok(unknown > known * 0.6 && known > unknown * 0.6, `known ${known} ms, unknown ${unknown} ms`);
  });
});

describe("a session", () => {
  it("goes on with the next token each time", async () => {
    const { login } = await replica.person("nora");
    let { refreshToken } = await login();
    const shown = new Set([refreshToken]);
    for (let round = 0; round < 3; round += 1) {
      const { tokens } = await replica.people.refresh({ refreshToken });
      refreshToken = tokens?.refreshToken ?? "";
      shown.add(refreshToken);
    }
    assert.equal(shown.size, 4);
  });

  it("is over for everybody when a token is shown twice, and the audit log says so", async () => {
    const { login, personId } = await replica.person("olga");
    const { refreshToken } = await login();
    const { tokens } = await replica.people.refresh({ refreshToken });
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken: tokens?.refreshToken ?? "" })), "SESSION_OVER");
    const events = (await readAuditLog(database.database)).filter(({ subject }) => subject === personId);
    assert.deepEqual(
      events.map(({ action }) => action),
      ["person.registered", "session.begun", "session.stolen"],
    );
  });

  it("is carried on by one of two who show the same token at once", async () => {
    const { login } = await replica.person("petra");
    const { refreshToken } = await login();
    const reasons = await Promise.all([1, 2].map(() => reasonOf(replica.people.refresh({ refreshToken }))));
    assert.deepEqual(reasons.toSorted(), ["SESSION_OVER", "none"]);
  });

  it("ends at its time, and when it has rested too long", async () => {
    const { login, personId } = await replica.person("rosa");
    for (const change of [
      "update session set expire_time = now() where end_time is null",
      "update refresh_token set expire_time = now()",
    ]) {
      const { refreshToken } = await login();
      await query(change);
      assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    }
    const events = (await readAuditLog(database.database)).filter(({ subject }) => subject === personId);
    assert.ok(events.every(({ action }) => action !== "session.stolen"));
  });

  it("ends by logging out, alone or with all others of the person", async () => {
    const { login } = await replica.person("sina");
    const other = await (await replica.person("tina")).login();
    const [first, second, third] = [await login(), await login(), await login()];
    await replica.people.logout({ refreshToken: first.refreshToken });
    await replica.people.logout({ refreshToken: first.refreshToken });
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken: first.refreshToken })), "SESSION_OVER");
    await replica.people.logoutEverywhere({ refreshToken: second.refreshToken });
    for (const { refreshToken } of [second, third]) {
      assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    }
    await replica.people.refresh({ refreshToken: other.refreshToken });
    const { refreshToken } = first;
    assert.equal(await reasonOf(replica.people.logoutEverywhere({ refreshToken })), "SESSION_OVER");
  });
});

it("keeps nothing that somebody could show, and no address in the audit log", async () => {
  const { login, email } = await replica.person("ulla");
  const { refreshToken } = await login();
  const dump = async (table: string) => JSON.stringify(await query(`select to_jsonb(t)::text as row from ${table} t`));
  for (const table of ["person", "mail_token", "session", "refresh_token", "audit_event"]) {
    const text = await dump(table);
    for (const secret of [password, refreshToken]) assert.ok(!text.includes(secret), table);
  }
  assert.ok(!(await dump("audit_event")).includes(email));
  assert.match(await dump("person"), /\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});
