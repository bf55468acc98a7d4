// A second factor from its first code to its end, and what becomes of those who guess codes, use one twice, or have stolen a token or a password.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { decodeJwt } from "jose";
import { URI } from "otpauth";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { PersonService } from "#gen/shop/identity/v1/person_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { identityDatabase, masterKeys, password, Replica, reasonOf } from "./harness.ts";

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
const as = (credential: string) => replica.client(PersonService, credential);
const halfMinute = 30_000;

/** What an app shows that was shown this, some steps from now. */
function codeOf(uri: string, steps = 0): string {
  return URI.parse(uri).generate({ timestamp: Date.now() + steps * halfMinute } as object);
}

/** The codes that were taken are those of an hour ago. */
async function longAgo(personId: string): Promise<void> {
  await query("update second_factor set last_step = last_step - 120 where person_id = $1", decodeId(personId));
}

/** The keys that are somebody's, but for that of the address. */
const keysOf = (personId: string) =>
  query(
    `select from personal_key k where subject = $1 and not exists (
      select from person where person_id = $1 and left(sealed_email, 32)::uuid = k.key_id)`,
    decodeId(personId),
  );

/** Somebody with a second factor that counts, and the session in which it was confirmed. */
async function enrolled(name: string) {
  const person = await replica.person(name);
  const tokens = await person.login();
  const { otpauthUri: uri } = await as(tokens.accessToken).enrollSecondFactor({ password });
  const { recoveryCodes } = await as(tokens.accessToken).confirmSecondFactor({ code: codeOf(uri) });
  await longAgo(person.personId);
  const loginWith = (code: string) => replica.people.login({ email: person.email, password, code });
  return { ...person, tokens, uri, recoveryCodes, loginWith };
}

const actionsOf = async (personId: string) =>
  (await readAuditLog(database.database)).filter(({ subject }) => subject === personId).map(({ action }) => action);

describe("a second factor", () => {
  it("counts once its first code has confirmed it: a login wants a code besides, and its token says so", async () => {
    const { login, email, personId } = await replica.person("abby");
    const { accessToken } = await login();
    const { otpauthUri, expireTime } = await as(accessToken).enrollSecondFactor({ password });
    const uri = new URL(otpauthUri);
    assert.deepEqual([uri.protocol, uri.searchParams.get("issuer")], ["otpauth:", "Ordermesh"]);
    assert.match(decodeURIComponent(uri.pathname), /Ordermesh:abby@example\.com$/);
    assert.match(uri.searchParams.get("secret") ?? "", /^[A-Z2-7]{32}$/);
    assert.ok(expireTime && Number(expireTime.seconds) * 1000 > Date.now() + 10 * 60_000);
    await login();
    const { recoveryCodes } = await as(accessToken).confirmSecondFactor({ code: codeOf(otpauthUri) });
    assert.equal(new Set(recoveryCodes).size, 10);
    for (const code of recoveryCodes) assert.match(code, /^(?:[0-9a-hjkmnp-tv-z]{4}-){5}[0-9a-hjkmnp-tv-z]{4}$/);
    assert.equal(await reasonOf(login()), "CODE_REQUIRED");
    await longAgo(personId);
    const { tokens, withheldRoles } = await replica.people.login({ email, password, code: codeOf(otpauthUri) });
    assert.deepEqual(decodeJwt(tokens?.accessToken ?? "").amr, ["pwd", "otp", "mfa"]);
    assert.deepEqual(withheldRoles, []);
    const { person } = await replica.admin().getPerson({ personId });
    assert.equal(person?.secondFactor, true);
    assert.deepEqual((await actionsOf(personId)).slice(-4), [
      ...["second_factor.begun", "session.begun", "second_factor.confirmed", "session.begun"],
    ]);
    await until(() => replica.notices(email).includes("second_factor_confirmed"), "a notice");
  });

  it("ends the sessions that were begun without it, but for the one that confirmed it", async () => {
    const { login } = await replica.person("bess");
    const [mine, other] = [await login(), await login()];
    assert.deepEqual(decodeJwt(mine.accessToken).amr, ["pwd"]);
    const { otpauthUri } = await as(mine.accessToken).enrollSecondFactor({ password });
    const { endedSessions } = await as(mine.accessToken).confirmSecondFactor({ code: codeOf(otpauthUri) });
    assert.equal(endedSessions, 1);
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken: other.refreshToken })), "SESSION_OVER");
    const { tokens } = await replica.people.refresh({ refreshToken: mine.refreshToken });
    assert.deepEqual(decodeJwt(tokens?.accessToken ?? "").amr, ["pwd", "otp", "mfa"]);
  });

  it("is one at a time, and what was begun before and not confirmed is forgotten, with its key", async () => {
    const { login, personId } = await replica.person("cleo");
    const { accessToken } = await login();
    const first = await as(accessToken).enrollSecondFactor({ password });
    const second = await as(accessToken).enrollSecondFactor({ password });
    assert.equal((await keysOf(personId)).length, 1);
    const confirm = (uri: string) => reasonOf(as(accessToken).confirmSecondFactor({ code: codeOf(uri) }));
    assert.equal(await confirm(first.otpauthUri), "CODE_REFUSED");
    assert.equal(await confirm(second.otpauthUri), "none");
    assert.equal(await reasonOf(as(accessToken).enrollSecondFactor({ password })), "SECOND_FACTOR_EXISTS");
    assert.equal(await confirm(second.otpauthUri), "SECOND_FACTOR_MISSING");
  });

  it("waits a quarter of an hour for its first code, and nobody is asked for one meanwhile", async () => {
    const { login, personId } = await replica.person("dora");
    const { accessToken } = await login();
    const { otpauthUri } = await as(accessToken).enrollSecondFactor({ password });
    await login();
    await query(
      "update second_factor set create_time = create_time - interval '16 minutes' where person_id = $1",
      decodeId(personId),
    );
    const late = as(accessToken).confirmSecondFactor({ code: codeOf(otpauthUri) });
    assert.equal(await reasonOf(late), "SECOND_FACTOR_MISSING");
  });

  it("is taken away with password and code, not with one of both; other sessions end", async () => {
    const { tokens, uri, email, login, loginWith, personId } = await enrolled("ella");
    const other = await loginWith(codeOf(uri));
    await longAgo(personId);
    const { accessToken } = tokens;
    const disable = (given: string, code: string) =>
      reasonOf(as(accessToken).disableSecondFactor({ password: given, code }));
    assert.equal(await disable("not the password", codeOf(uri)), "PASSWORD_REFUSED");
    assert.equal(await disable(password, codeOf(uri, 20)), "CODE_REFUSED");
    const { endedSessions } = await as(accessToken).disableSecondFactor({ password, code: codeOf(uri) });
    assert.equal(endedSessions, 1);
    const { refreshToken = "" } = other.tokens ?? {};
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    await login();
    for (const table of ["second_factor", "recovery_code"]) {
      assert.deepEqual(await query(`select from ${table} where person_id = $1`, decodeId(personId)), []);
    }
    assert.deepEqual(await keysOf(personId), []);
    assert.equal(await disable(password, codeOf(uri)), "SECOND_FACTOR_MISSING");
    await until(() => replica.notices(email).includes("second_factor_disabled"), "a notice");
  });

  it("is reset by an admin: audited, told by mail, and all sessions end", async () => {
    const { tokens, email, login, personId } = await enrolled("fran");
    const { person } = await replica.admin().resetSecondFactor({ personId });
    assert.equal(person?.secondFactor, false);
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken: tokens.refreshToken })), "SESSION_OVER");
    const { refreshToken } = await login();
    await replica.admin().resetSecondFactor({ personId });
    await replica.people.refresh({ refreshToken });
    const resets = (await readAuditLog(database.database)).filter(({ action }) => action === "second_factor.reset");
    assert.deepEqual(
      resets.map(({ subject, actor }) => [subject, actor]),
      [[personId, "key:bootstrap"]],
    );
    await until(() => replica.notices(email).includes("second_factor_reset"), "a notice");
    const nobody = replica.admin().resetSecondFactor({ personId: newId() });
    assert.equal(await reasonOf(nobody), "PERSON_NOT_FOUND");
  });
});

describe("a code", () => {
  it("is good once, and so is none before it", async () => {
    const { uri, loginWith } = await enrolled("gwen");
    const [now, next] = [codeOf(uri), codeOf(uri, 1)];
    await loginWith(now);
    assert.equal(await reasonOf(loginWith(now)), "CODE_REFUSED");
    await loginWith(next);
    for (const used of [next, now]) assert.equal(await reasonOf(loginWith(used)), "CODE_REFUSED");
  });

  it("is good for one of two who show it at once", async () => {
    const { uri, loginWith } = await enrolled("hope");
    const code = codeOf(uri);
    const reasons = await Promise.all([1, 2].map(() => reasonOf(loginWith(code))));
    assert.deepEqual(reasons.toSorted(), ["CODE_REFUSED", "none"]);
  });

  it("that confirmed the second factor is no code of a login", async () => {
    const { login, email } = await replica.person("ines");
    const { accessToken } = await login();
    const { otpauthUri } = await as(accessToken).enrollSecondFactor({ password });
    const code = codeOf(otpauthUri);
    await as(accessToken).confirmSecondFactor({ code });
    assert.equal(await reasonOf(replica.people.login({ email, password, code })), "CODE_REFUSED");
  });

  it("of a minute ago, or from now, is none; nor is one of somebody else", async () => {
    const [iris, june] = [await enrolled("iris"), await enrolled("june")];
    for (const steps of [-3, 3]) {
      assert.equal(await reasonOf(iris.loginWith(codeOf(iris.uri, steps))), "CODE_REFUSED");
    }
    assert.equal(await reasonOf(iris.loginWith(codeOf(june.uri))), "CODE_REFUSED");
  });

  it("is not looked at without the right password, and the refusal is as without one", async () => {
    const { uri, email, loginWith } = await enrolled("kira");
    const code = codeOf(uri);
    assert.equal(await reasonOf(replica.people.login({ email, password: "guess", code })), "LOGIN_REFUSED");
    await loginWith(code);
  });

  it("takes as long to be refused for an address that nobody has", async () => {
    await enrolled("lara");
    const timed = async (email: string) => {
      await query("delete from login_attempt");
      const start = performance.now();
      assert.equal(await reasonOf(replica.people.login({ email, password: "guess", code: "123456" })), "LOGIN_REFUSED");
      return performance.now() - start;
    };
    const known: number[] = [];
    const unknown: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      known.push(await timed("lara@example.com"));
      unknown.push(await timed("who@example.com"));
    }
    const median = (all: number[]) => all.toSorted((a, b) => a - b)[7] ?? 0;
    const [one, other] = [median(known), median(unknown)];
    assert.ok(other > one * 0.6 && one > other * 0.6, `known ${one} ms, unknown ${other} ms`);
  });
});

describe("guessing codes, of who knows the password", () => {
  /** Somebody who waits as long as it takes for passwords, so that only codes hold back. */
  async function guess(loginWith: (code: string) => Promise<unknown>, uri: string): Promise<string> {
    await query("delete from login_attempt");
    return reasonOf(loginWith(codeOf(uri, 20)));
  }

  it("is delayed after five, whatever becomes of the password, and the person is told", async () => {
    const { uri, email, loginWith, personId } = await enrolled("mara");
    const reasons: string[] = [];
    for (let n = 0; n < 6; n += 1) reasons.push(await guess(loginWith, uri));
    assert.deepEqual(reasons, [...Array.from({ length: 5 }, () => "CODE_REFUSED"), "TOO_MANY_ATTEMPTS"]);
    await until(() => replica.notices(email).includes("codes_refused"), "a notice");
    await query(
      "update second_factor set next_time = now() + interval '1 minute' where person_id = $1",
      decodeId(personId),
    );
    await query("update mail_token set create_time = create_time - interval '2 minutes'");
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await replica.people.setPassword({ token, password });
    const right = await loginWith(codeOf(uri)).catch(ConnectError.from);
    assert.ok(right instanceof ConnectError);
    assert.equal(right.code, Code.ResourceExhausted);
    assert.equal(right.findDetails(RetryInfoSchema).length, 1);
    const refused = (await actionsOf(personId)).filter((action) => action === "code.refused");
    assert.equal(refused.length, 5);
    await query("update second_factor set next_time = now() where person_id = $1", decodeId(personId));
    await loginWith(codeOf(uri));
  });

  it("are as many as are made at once", async () => {
    const { uri, loginWith, personId } = await enrolled("nina");
    // Passwords that come at once are held back as well: what is counted here is what gets through.
    const reasons = await Promise.all(Array.from({ length: 12 }, () => reasonOf(loginWith(codeOf(uri, 20)))));
    const [row] = await database.database.query<{ attempts: number }>(
      "select attempts from second_factor where person_id = $1",
      [decodeId(personId)],
    );
    assert.equal(row?.attempts, reasons.filter((reason) => reason === "CODE_REFUSED").length);
    assert.ok((row?.attempts ?? 0) <= 5);
  });

  it("ends after a hundred, until a recovery code is given", async () => {
    const { uri, loginWith, personId, recoveryCodes } = await enrolled("olga");
    await query("update second_factor set attempts = 99 where person_id = $1", decodeId(personId));
    assert.equal(await guess(loginWith, uri), "CODE_REFUSED");
    await query("delete from login_attempt");
    const over = await loginWith(codeOf(uri)).catch(ConnectError.from);
    assert.ok(over instanceof ConnectError);
    assert.deepEqual([over.code, over.findDetails(RetryInfoSchema)], [Code.ResourceExhausted, []]);
    await loginWith(recoveryCodes[0] ?? "");
    await loginWith(codeOf(uri));
  });

  it("is not made easier by the first step of a login, nor by a code that was confirmed before", async () => {
    const { uri, email, login, personId } = await enrolled("pola");
    await query("delete from login_attempt");
    const reasons: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      reasons.push(await reasonOf(login()));
      reasons.push(await reasonOf(replica.people.login({ email, password, code: codeOf(uri, 20) })));
    }
    assert.deepEqual(reasons.slice(0, 5), [
      ...["CODE_REQUIRED", "CODE_REFUSED", "CODE_REQUIRED", "CODE_REFUSED", "CODE_REQUIRED"],
    ]);
    assert.equal(reasons[5], "TOO_MANY_ATTEMPTS");
    assert.ok((await actionsOf(personId)).includes("code.refused"));
  });
});

describe("a recovery code", () => {
  it("is good once, however it is typed, and the person is told", async () => {
    const { email, loginWith, recoveryCodes, personId } = await enrolled("rita");
    const [first = "", second = ""] = recoveryCodes;
    await loginWith(first);
    assert.equal(await reasonOf(loginWith(first)), "CODE_REFUSED");
    await loginWith(` ${second.toUpperCase().replaceAll("-", " ")} `);
    assert.equal(await reasonOf(loginWith(second)), "CODE_REFUSED");
    await until(() => replica.notices(email).filter((kind) => kind === "recovery_code_used").length === 2, "notices");
    const used = (await readAuditLog(database.database)).filter(
      ({ subject, action }) => subject === personId && action === "recovery_code.used",
    );
    assert.deepEqual(
      used.map(({ details }) => details),
      [{ left: "9" }, { left: "8" }],
    );
  });

  it("is good for one of two who show it at once, and for nobody else", async () => {
    const [sara, tess] = [await enrolled("sara"), await enrolled("tess")];
    const [code = "", other = ""] = sara.recoveryCodes;
    const reasons = await Promise.all([1, 2].map(() => reasonOf(sara.loginWith(code))));
    assert.deepEqual(reasons.toSorted(), ["CODE_REFUSED", "none"]);
    assert.equal(await reasonOf(tess.loginWith(other)), "CODE_REFUSED");
    await sara.loginWith(other);
  });
});

describe("who has stolen an access token", () => {
  it("begins no second factor with it: the password is asked for again", async () => {
    const { login, personId } = await replica.person("uma");
    const { accessToken } = await login();
    const begin = () => reasonOf(as(accessToken).enrollSecondFactor({ password: "guessed by a thief" }));
    assert.equal(await begin(), "PASSWORD_REFUSED");
    const more = await Promise.all(Array.from({ length: 6 }, begin));
    assert.ok(more.includes("TOO_MANY_ATTEMPTS"));
    assert.deepEqual(await query("select from second_factor where person_id = $1", decodeId(personId)), []);
  });

  it("confirms none that its owner has begun, and does not guess its first code", async () => {
    const { login, personId } = await replica.person("vera");
    const { accessToken } = await login();
    const { otpauthUri } = await as(accessToken).enrollSecondFactor({ password });
    const wrong = codeOf(otpauthUri, 20);
    const reasons: string[] = [];
    for (let n = 0; n < 6; n += 1) reasons.push(await reasonOf(as(accessToken).confirmSecondFactor({ code: wrong })));
    assert.deepEqual(reasons, [...Array.from({ length: 5 }, () => "CODE_REFUSED"), "TOO_MANY_ATTEMPTS"]);
    assert.ok(!(await actionsOf(personId)).includes("second_factor.confirmed"));
  });

  it("takes none away, and comes too late when the session has ended", async () => {
    const { tokens, uri } = await enrolled("wilma");
    const code = codeOf(uri);
    const disable = () =>
      reasonOf(as(tokens.accessToken).disableSecondFactor({ password: "guessed by a thief", code }));
    assert.equal(await disable(), "PASSWORD_REFUSED");
    await replica.people.logout({ refreshToken: tokens.refreshToken });
    for (const call of [
      disable(),
      reasonOf(as(tokens.accessToken).enrollSecondFactor({ password })),
      reasonOf(as(tokens.accessToken).confirmSecondFactor({ code })),
    ]) {
      assert.equal(await call, "SESSION_OVER");
    }
  });
});

describe("roles that want a second factor", () => {
  it("are withheld from who has none, and come with the session that has one", async () => {
    using strict = await Replica.on(database.database, { SECOND_FACTOR_ROLES: "admin, finance" });
    const { personId, email } = await replica.person("xara");
    await replica.admin().setRoles({ personId, roles: [Role.CUSTOMER, Role.ADMIN] });
    const first = await strict.people.login({ email, password });
    assert.deepEqual(first.withheldRoles, [Role.ADMIN]);
    const { accessToken = "", refreshToken = "" } = first.tokens ?? {};
    assert.deepEqual(decodeJwt(accessToken).roles, ["customer"]);
    assert.equal(await reasonOf(strict.admin(accessToken).listPeople({})), "NOT_PERMITTED");
    const me = strict.client(PersonService, accessToken);
    const { otpauthUri } = await me.enrollSecondFactor({ password });
    await me.confirmSecondFactor({ code: codeOf(otpauthUri) });
    const { tokens } = await strict.people.refresh({ refreshToken });
    assert.deepEqual(decodeJwt(tokens?.accessToken ?? "").roles, ["customer", "admin"]);
    await strict.admin(tokens?.accessToken).listPeople({});
    await longAgo(personId);
    const next = await strict.people.login({ email, password, code: codeOf(otpauthUri) });
    assert.deepEqual(
      [next.withheldRoles, decodeJwt(next.tokens?.accessToken ?? "").roles],
      [[], ["customer", "admin"]],
    );
    await longAgo(personId);
    await me.disableSecondFactor({ password, code: codeOf(otpauthUri) });
    const without = await strict.people.refresh({ refreshToken: tokens?.refreshToken ?? "" });
    assert.deepEqual(decodeJwt(without.tokens?.accessToken ?? "").roles, ["customer"]);
  });

  it("are withheld from no program's key, and cannot be asked for without a key to seal secrets with", async () => {
    using strict = await Replica.on(database.database, { SECOND_FACTOR_ROLES: "admin" });
    await strict.admin().listPeople({});
    const start = Replica.on(database.database, { SECOND_FACTOR_ROLES: "admin", PERSONAL_DATA_KEYS: undefined });
    await assert.rejects(start, { name: "StartError", message: /PERSONAL_DATA_KEYS/ });
    await assert.rejects(Replica.on(database.database, { SECOND_FACTOR_ROLES: "boss" }), /SECOND_FACTOR_ROLES/);
  });
});

describe("what is kept of a second factor", () => {
  it("cannot be shown: the secret is sealed, also where other personal data is plain, and codes are hashes", async () => {
    using plain = await Replica.on(database.database, { PERSONAL_DATA: "plain" });
    const { login } = await plain.person("yara");
    const { accessToken } = await login();
    const me = plain.client(PersonService, accessToken);
    const { otpauthUri } = await me.enrollSecondFactor({ password });
    const { recoveryCodes } = await me.confirmSecondFactor({ code: codeOf(otpauthUri) });
    const secret = new URL(otpauthUri).searchParams.get("secret") ?? "?";
    for (const table of ["second_factor", "recovery_code", "personal_key", "audit_event"]) {
      const text = JSON.stringify(await query(`select t::text from ${table} t`));
      for (const shown of [secret, ...recoveryCodes]) assert.ok(!text.includes(shown), table);
    }
  });

  it("is of no use to somebody else: a secret that is moved to another row does not open", async () => {
    const [zoe, amy] = [await enrolled("zoe"), await enrolled("amy")];
    await query(
      "update second_factor set secret = (select secret from second_factor where person_id = $1) where person_id = $2",
      decodeId(zoe.personId),
      decodeId(amy.personId),
    );
    const moved = await reasonOf(amy.loginWith(codeOf(zoe.uri)));
    assert.ok(moved !== "none" && moved !== "CODE_REFUSED", moved);
  });

  it("is none without master keys: nobody begins one", async () => {
    using without = await Replica.on(database.database, { PERSONAL_DATA_KEYS: undefined });
    const { login } = await without.person("bree");
    const me = without.client(PersonService, (await login()).accessToken);
    assert.equal(await reasonOf(me.enrollSecondFactor({ password })), "SECOND_FACTOR_UNAVAILABLE");
  });

  it("is opened by another master key once the sweep has wrapped its key anew", async () => {
    const { uri, email } = await enrolled("cora");
    const both = `${masterKeys}\nnext ${Buffer.alloc(32, 8).toString("base64")}`;
    using next = await Replica.on(database.database, { PERSONAL_DATA_KEYS: both, PERSONAL_DATA_SWEEP_MS: "20" });
    await next.parts.start?.();
    const former = () => query("select from personal_key where master = 'test'");
    await until(async () => (await former()).length === 0, "all keys are wrapped by the next master key");
    await next.parts.stop?.();
    await next.people.login({ email, password, code: codeOf(uri) });
  });
});
