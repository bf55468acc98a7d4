// Somebody who has logged in and sets another password, and who has stolen an access token and would.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { PersonService } from "#gen/shop/identity/v1/person_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { bootstrapKey, identityDatabase, password, Replica, reasonOf } from "./harness.ts";

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
const newPassword = "nine wild otters sleeping";

describe("a password that is changed by who has logged in", () => {
  it("is the only one from then on; the session goes on, and all others end", async () => {
    const { login, email, personId } = await replica.person("anna");
    const [mine, other, third] = [await login(), await login(), await login()];
    const { endedSessions } = await as(mine.accessToken).changePassword({ password, newPassword });
    assert.equal(endedSessions, 2);
    for (const { refreshToken } of [other, third]) {
      assert.equal(await reasonOf(replica.people.refresh({ refreshToken })), "SESSION_OVER");
    }
    await replica.people.refresh({ refreshToken: mine.refreshToken });
    assert.equal(await reasonOf(replica.people.login({ email, password })), "LOGIN_REFUSED");
    await replica.people.login({ email, password: newPassword });
    const events = (await readAuditLog(database.database)).filter(({ subject }) => subject === personId);
    const changed = events.find(({ action }) => action === "password.changed");
    assert.deepEqual([changed?.actor, changed?.details], [personId, { ended: "2" }]);
  });

  it("is told of by mail, and so is one that was reset; a first one is not", async () => {
    const { login, email } = await replica.person("bella");
    const { accessToken } = await login();
    assert.deepEqual(replica.notices(email), []);
    await as(accessToken).changePassword({ password, newPassword });
    await until(() => replica.notices(email).length === 1, "a notice");
    await query("update mail_token set create_time = create_time - interval '2 minutes'");
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await replica.people.setPassword({ token, password });
    await until(() => replica.notices(email).length === 2, "another notice");
    assert.deepEqual(replica.notices(email), ["password_changed", "password_changed"]);
  });

  it("voids what was sent by mail to set another one", async () => {
    const { login, email } = await replica.person("carla");
    await query("update mail_token set create_time = create_time - interval '2 minutes'");
    const { token } = await replica.mailed(() => replica.people.mailPasswordToken({ email }));
    await as((await login()).accessToken).changePassword({ password, newPassword });
    assert.equal(await reasonOf(replica.people.setPassword({ token, password })), "TOKEN_OVER");
  });

  it("obeys the rules of a first one, which costs no attempt", async () => {
    const { login } = await replica.person("dana");
    const { accessToken } = await login();
    for (const weak of ["T4&xq!9Lm#2z", "passwordpassword", "dana@example.com", "ordermeshordermesh"]) {
      const change = as(accessToken).changePassword({ password: "not even the old one", newPassword: weak });
      assert.equal(await reasonOf(change), "WEAK_PASSWORD", weak);
    }
    await as(accessToken).changePassword({ password, newPassword });
  });

  it("is changed once by two who do it at once", async () => {
    const { login } = await replica.person("elsa");
    const { accessToken } = await login();
    const others = ["ten quick herons fishing", "six slow badgers digging"];
    const outcomes = await Promise.all(
      others.map((other) => reasonOf(as(accessToken).changePassword({ password, newPassword: other }))),
    );
    assert.deepEqual(outcomes.toSorted(), ["PASSWORD_REFUSED", "none"]);
  });
});

describe("who has stolen an access token", () => {
  it("does not get at the password by it: guesses are those of a login, delayed and counted together", async () => {
    const { login, email, personId } = await replica.person("frida");
    const { accessToken } = await login();
    for (let n = 0; n < 3; n += 1) {
      assert.equal(await reasonOf(replica.people.login({ email, password: `guess ${n}` })), "LOGIN_REFUSED");
    }
    const guess = (n: number) =>
      reasonOf(as(accessToken).changePassword({ password: `guessed again ${n}`, newPassword }));
    assert.deepEqual([await guess(1), await guess(2)], ["PASSWORD_REFUSED", "PASSWORD_REFUSED"]);
    // It is a second, which a slow machine may need for less than this.
    const delayed = await query(
      "update login_attempt set next_time = now() + interval '1 minute' where attempts = 5 and next_time > update_time returning 1",
    );
    assert.equal(delayed.length, 1);
    const reasons = await Promise.all([3, 4, 5, 6].map(guess));
    assert.deepEqual(
      reasons,
      Array.from({ length: 4 }, () => "TOO_MANY_ATTEMPTS"),
    );
    const right = await as(accessToken).changePassword({ password, newPassword }).catch(ConnectError.from);
    assert.ok(right instanceof ConnectError);
    assert.equal(right.code, Code.ResourceExhausted);
    assert.equal(right.findDetails(RetryInfoSchema).length, 1);
    const events = (await readAuditLog(database.database)).filter(({ subject }) => subject === personId);
    const refused = events.filter(({ action }) => action === "password.refused");
    assert.deepEqual(
      refused.map(({ actor }) => actor),
      [personId, personId],
    );
  });

  it("comes too late when the session has ended, however long the token is valid", async () => {
    const { login } = await replica.person("greta");
    const { accessToken, refreshToken } = await login();
    await replica.people.logout({ refreshToken });
    assert.equal(await reasonOf(as(accessToken).changePassword({ password, newPassword })), "SESSION_OVER");
  });
});

it("is for people: neither a program's key nor its token changes one, whatever its roles", async () => {
  const roles = [Role.CUSTOMER, Role.AGENT, Role.ADMIN];
  const { secret } = await replica.admin().createApiKey({ name: "no-person", roles });
  const { accessToken } = await replica.people.exchangeApiKey({ apiKey: secret });
  for (const credential of [secret, accessToken, bootstrapKey]) {
    assert.equal(await reasonOf(as(credential).changePassword({ password, newPassword })), "NOT_PERMITTED");
  }
});

it("is for people without any role as well", async () => {
  const { login, personId } = await replica.person("hedda");
  await replica.admin().setRoles({ personId, roles: [] });
  await as((await login()).accessToken).changePassword({ password, newPassword });
});
