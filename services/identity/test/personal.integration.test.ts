// Whose login it is, where it lies: sealed, found, handed out and forgotten, and what a process of the version before meets.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { URI } from "otpauth";
import { PersonService } from "#gen/shop/identity/v1/person_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { migrations } from "../src/migrations/list.ts";
import { emailHash } from "../src/person/person.ts";
import { hashOf } from "../src/proof/secret-text.ts";
import { identityDatabase, password, Replica, reasonOf } from "./harness.ts";

let database: TestDatabase;
let replica: Replica;
before(async () => {
  database = await identityDatabase();
  replica = await Replica.on(database.database, { PERSONAL_DATA_SWEEP_MS: "20" });
});
after(async () => {
  replica?.[Symbol.dispose]();
  await database?.[Symbol.asyncDispose]();
});

const query = (sql: string, ...values: unknown[]) => database.database.query(sql, values);
const as = (credential: string, of = replica) => of.client(PersonService, credential);
const minutesLater = () => query("update mail_token set create_time = create_time - interval '2 minutes'");
const tables = [
  ...["person", "person_email", "mail_token", "login_attempt", "session", "refresh_token"],
  ...["second_factor", "recovery_code", "personal_key", "audit_event", "idempotency_key"],
];

/** The tables in which one of these texts can be read, in any case of the letters. */
async function tablesWith(...texts: readonly string[]): Promise<string[]> {
  const rows = await Promise.all(
    tables.map(async (table) => [table, JSON.stringify(await query(`select t::text from ${table} t`)).toLowerCase()]),
  );
  return rows.flatMap(([table = "", text = ""]) =>
    texts.some((each) => text.includes(each.toLowerCase())) ? table : [],
  );
}

describe("the address of a login", () => {
  it("is readable in no table, nor is a hash of it that anybody could make, and it is found all the same", async () => {
    const { login, email, personId } = await replica.person("Agatha");
    await login();
    assert.equal(await reasonOf(replica.people.login({ email, password: "guess" })), "LOGIN_REFUSED");
    assert.deepEqual(await tablesWith("agatha", emailHash(email).toString("hex")), []);
    const { people } = await replica.admin().listPeople({ email: "AGATHA@example.com" });
    assert.deepEqual(
      people.map((person) => [person.personId, person.email]),
      [[personId, "agatha@example.com"]],
    );
    const { person } = await replica.admin().getPerson({ personId });
    assert.equal(person?.email, "agatha@example.com");
  });

  it("is mailed to once a minute, and one token of it is good", async () => {
    const email = "berta@example.com";
    const first = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    const sent = replica.mails;
    await replica.people.mailPasswordToken({ email: "BERTA@example.com" });
    await replica.mailed(() => replica.people.mailPasswordToken({ email: "clara@example.com" }));
    assert.equal(replica.mails, sent + 1);
    await minutesLater();
    const second = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await replica.people.setPassword({ token: second.token, password });
    assert.equal(await reasonOf(replica.people.setPassword({ token: first.token, password })), "TOKEN_OVER");
  });

  it("is one person's, of two who register with it at once", async () => {
    const email = "dagmar@example.com";
    const first = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await minutesLater();
    const second = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await Promise.allSettled([first, second].map(({ token }) => replica.people.setPassword({ token, password })));
    assert.equal((await replica.admin().listPeople({ email })).people.length, 1);
    await replica.people.login({ email, password });
  });

  it("does not open in the row of somebody else", async () => {
    const [one, other] = [await replica.person("edda"), await replica.person("fanny")];
    await query(
      "update person set sealed_email = (select sealed_email from person where person_id = $1) where person_id = $2",
      decodeId(one.personId),
      decodeId(other.personId),
    );
    assert.match(await reasonOf(replica.admin().getPerson({ personId: other.personId })), /internal/);
    await query("delete from person_email where person_id = $1", decodeId(other.personId));
    await query(
      "update person set sealed_email = null, email = 'fanny@example.com' where person_id = $1",
      decodeId(other.personId),
    );
    await query("delete from personal_key where subject = $1", decodeId(other.personId));
  });

  it("lies plain without master keys, and everything goes on as before", async () => {
    using without = await Replica.on(database.database, { PERSONAL_DATA_KEYS: undefined });
    const { login, personId } = await without.person("gerda");
    await login();
    assert.deepEqual(await query("select email from person where person_id = $1", decodeId(personId)), [
      { email: "gerda@example.com" },
    ]);
    assert.equal((await without.admin().listPeople({ email: "gerda@example.com" })).people.length, 1);
  });
});

describe("a rollout from the version before", () => {
  /** What that version writes and reads. */
  const before = {
    register: (personId: string, email: string, kept: string) =>
      query(
        `insert into person (person_id, email, password, roles) values ($1, $2, $3, '{customer}')
          on conflict (email) do update set password = excluded.password, update_time = now()`,
        decodeId(personId),
        email,
        kept,
      ),
    mail: (token: string, email: string) =>
      query(
        "insert into mail_token (hash, email, expire_time) values ($1, $2, now() + interval '1 hour')",
        hashOf(token),
        email,
      ),
    find: (email: string) => query("select person_id from person where email = $1", email),
  };

  it("works side by side while nothing is sealed yet: each reads what the other has written", async () => {
    using plain = await Replica.on(database.database, { PERSONAL_DATA: "plain" });
    const { email, personId } = await plain.person("hedwig");
    assert.deepEqual(await before.find(email), [{ person_id: decodeId(personId) }]);
    await before.mail("ordermesh_mail_of-before", "hedwig@example.com");
    const set = await plain.people.setPassword({ token: "ordermesh_mail_of-before", password });
    assert.equal(set.personId, personId);
    const [kept] = await database.database.query<{ password: string }>("select password from person where email = $1", [
      email,
    ]);
    const other = newId();
    await before.register(other, "irma@example.com", kept?.password ?? "");
    assert.equal((await plain.people.login({ email: "irma@example.com", password })).personId, other);
    await before.register(newId(), "irma@example.com", kept?.password ?? "");
    assert.equal((await plain.people.login({ email: "irma@example.com", password })).personId, other);
  });

  it("has what lies plain sealed row by row, and opened again on the way back, under logins", async () => {
    const email = "irma@example.com";
    const find = async () => (await replica.people.login({ email, password })).personId;
    const personId = await find();
    await replica.parts.start?.();
    const plain = () => query("select from person where email is not null");
    await until(async () => (await plain()).length === 0, "all addresses are sealed");
    await replica.parts.stop?.();
    assert.equal(await find(), personId);
    assert.deepEqual(await tablesWith("irma@"), []);
    const down = () => migrateDown({ url: database.ownerUrl, migrations }, "0003-personal");
    await assert.rejects(down, /personal data is sealed/);
    using back = await Replica.on(database.database, { PERSONAL_DATA: "plain", PERSONAL_DATA_SWEEP_MS: "20" });
    await back.parts.start?.();
    const sealed = () => query("select from person where sealed_email is not null");
    await until(async () => (await sealed()).length === 0, "all addresses are open");
    await back.parts.stop?.();
    assert.equal((await back.people.login({ email, password })).personId, personId);
    assert.deepEqual(await query("select from person_email"), []);
    const keys = "select from personal_key k join person p on k.subject = p.person_id";
    assert.deepEqual(await query(`${keys} left join second_factor f using (person_id) where f.person_id is null`), []);
    await down();
    await before.find(email);
    await migrateUp({ url: database.ownerUrl, migrations });
    assert.equal(await find(), personId);
  });
});

describe("what is kept about somebody", () => {
  it("is told to that person, and to admins, and to nobody else", async () => {
    const [jana, kaja] = [await replica.person("jana"), await replica.person("kaja")];
    const { accessToken } = await jana.login();
    await jana.login();
    const { person, openSessions, recoveryCodesLeft } = await as(accessToken).exportPerson({ personId: jana.personId });
    assert.deepEqual(
      [person?.email, person?.roles, openSessions, recoveryCodesLeft],
      ["jana@example.com", [Role.CUSTOMER], 2, 0],
    );
    assert.equal(await reasonOf(as(accessToken).exportPerson({ personId: kaja.personId })), "NOT_PERMITTED");
    const { secret } = await replica.admin().createApiKey({ name: "admin", roles: [Role.ADMIN] });
    assert.equal((await as(secret).exportPerson({ personId: kaja.personId })).person?.email, kaja.email);
    assert.equal(await reasonOf(as(secret).exportPerson({ personId: newId() })), "PERSON_NOT_FOUND");
    const agent = await replica.admin().createApiKey({ name: "agent", roles: [Role.AGENT] });
    assert.equal(await reasonOf(as(agent.secret).exportPerson({ personId: kaja.personId })), "NOT_PERMITTED");
  });
});

describe("somebody who is forgotten", () => {
  it("is nobody any more: no login, no session, no row that names them, and no key", async () => {
    const { login, email, personId } = await replica.person("lotte");
    const { accessToken, refreshToken } = await login();
    const { otpauthUri } = await as(accessToken).enrollSecondFactor({ password });
    const { recoveryCodes } = await as(accessToken).confirmSecondFactor({
      code: URI.parse(otpauthUri).generate(),
    });
    assert.equal(await reasonOf(replica.people.login({ email, password: "guess" })), "LOGIN_REFUSED");
    await minutesLater();
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    const copy = (await query("select * from person where person_id = $1", decodeId(personId)))[0];
    const erase = (given: string, code: string) =>
      reasonOf(as(accessToken).erasePerson({ personId, password: given, code }));
    assert.equal(await erase("guessed by a thief", recoveryCodes[0] ?? ""), "PASSWORD_REFUSED");
    assert.equal(await erase("", ""), "PASSWORD_REFUSED");
    assert.equal(await erase(password, ""), "CODE_REQUIRED");
    assert.equal(await erase(password, "made-up"), "CODE_REFUSED");
    const { eraseTime } = await as(accessToken).erasePerson({ personId, password, code: recoveryCodes[0] ?? "" });
    assert.ok(eraseTime);
    assert.deepEqual(await tablesWith("lotte"), []);
    for (const table of ["person_email", "second_factor", "recovery_code", "session"]) {
      assert.deepEqual(await query(`select from ${table} where person_id = $1`, decodeId(personId)), [], table);
    }
    assert.deepEqual(await query("select from personal_key where subject = $1", decodeId(personId)), []);
    assert.equal(await reasonOf(replica.people.login({ email, password })), "LOGIN_REFUSED");
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    assert.equal(await reasonOf(replica.people.setPassword({ token, password })), "TOKEN_OVER");
    assert.equal(await reasonOf(replica.admin().getPerson({ personId })), "PERSON_NOT_FOUND");
    assert.equal(await reasonOf(replica.admin().setRoles({ personId, roles: [Role.ADMIN] })), "PERSON_NOT_FOUND");
    assert.equal(await erase(password, ""), "SESSION_OVER");
    assert.deepEqual((await replica.admin().listPeople({ email })).people, []);
    // A backup of the row, without the key.
    await query(
      "update person set sealed_email = $2, erase_time = null where person_id = $1",
      decodeId(personId),
      copy?.sealed_email,
    );
    assert.equal((await replica.admin().getPerson({ personId })).person?.email, "");
    const erased = (await readAuditLog(database.database)).filter(({ action }) => action === "person.erased");
    assert.deepEqual(
      erased.map(({ subject, actor }) => [subject, actor]),
      [[personId, personId]],
    );
  });

  it("may register anew, as somebody else; an admin forgets without a password, once", async () => {
    const { email, personId } = await replica.person("minna");
    const { secret } = await replica.admin().createApiKey({ name: "eraser", roles: [Role.ADMIN] });
    await as(secret).erasePerson({ personId });
    assert.equal(await reasonOf(as(secret).erasePerson({ personId })), "PERSON_NOT_FOUND");
    const again = await replica.person("minna");
    assert.notEqual(again.personId, personId);
    assert.equal((await replica.people.login({ email, password })).personId, again.personId);
  });

  it("is not somebody else: nobody forgets another one", async () => {
    const [nele, olga] = [await replica.person("nele"), await replica.person("olga")];
    const { accessToken } = await nele.login();
    const { personId } = olga;
    assert.equal(await reasonOf(as(accessToken).erasePerson({ personId, password })), "NOT_PERMITTED");
    await olga.login();
  });

  it("leaves no key of a token that was never used, once it is forgotten", async () => {
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email: "paula@example.com" }));
    const [row] = await database.database.query<{ id: string }>(
      "select left(sealed_email, 32)::uuid::text as id from mail_token where hash = $1",
      [hashOf(token)],
    );
    await query("update mail_token set expire_time = now() - interval '2 days' where hash = $1", hashOf(token));
    await replica.parts.start?.();
    const gone = async () => (await query("select from personal_key where key_id = $1", row?.id)).length === 0;
    await until(gone, "the key is gone");
    await replica.parts.stop?.();
  });
});
