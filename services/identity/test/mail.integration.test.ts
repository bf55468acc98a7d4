// Somebody registers by a mail that a mail server has brought, and is told by another one what became of the account.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { loadConfig, platformConfig } from "#platform/config.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { Mailbox } from "../../../dev/mail/mailbox.ts";
import { identityConfig, identityTogether } from "../src/config.ts";
import { identityDatabase, password, Replica } from "./harness.ts";

describe("people by mail", () => {
  let database: TestDatabase;
  let mailbox: Mailbox;
  let replica: Replica;
  before(async () => {
    [database, mailbox] = await Promise.all([identityDatabase(), Mailbox.start()]);
    replica = await Replica.on(database.database, {
      MAIL_SERVER_URL: mailbox.url,
      MAIL_TLS: "none",
      MAIL_FROM: "accounts@shop.example",
      MAIL_SHOP_NAME: "Otters",
      MAIL_TOKEN_PAGE: "https://shop.example/password#{token}",
      MAIL_FOLDER: undefined,
    });
  });
  after(async () => {
    await replica?.parts.stop?.();
    replica?.[Symbol.dispose]();
    await mailbox?.[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
  });

  const mailsTo = (address: string) => mailbox.mails.filter(({ recipients }) => recipients.includes(address));
  const tokenIn = (text: string) => /https:\/\/shop\.example\/password#(\S+)/.exec(text)?.[1] ?? "";

  it("register, and hear of a password that was changed", async () => {
    const email = "ada@example.com";
    await replica.people.mailPasswordToken({ email });
    const [mail] = await until(() => mailsTo(email).length > 0 && mailsTo(email), "the mail is there");
    assert.equal(mail?.subject, "Your password at Otters");
    assert.equal(mail?.from, "accounts@shop.example");
    assert.equal(mail?.headers["auto-submitted"], "auto-generated");
    const token = tokenIn(mail?.text ?? "");
    await replica.people.setPassword({ token, password });
    await replica.people.login({ email, password });

    await database.database.query("update mail_token set create_time = create_time - interval '2 minutes'");
    await replica.people.mailPasswordToken({ email });
    await until(() => mailsTo(email).length > 1, "another mail is there");
    await replica.people.setPassword({ token: tokenIn(mailsTo(email)[1]?.text ?? ""), password: "nine wild otters" });
    await until(() => mailsTo(email).some(({ subject }) => subject === "Your password was changed"), "it is told");
  });

  it("register although the mail server was away when they asked", async () => {
    const email = "bea@example.com";
    await mailbox.close();
    await replica.people.mailPasswordToken({ email });
    await until(async () => (await deferred(replica)) > 0, "it was tried");
    await mailbox.open();
    const [mail] = await until(() => mailsTo(email).length > 0 && mailsTo(email), "the mail is there");
    await replica.people.setPassword({ token: tokenIn(mail?.text ?? ""), password });
  });
});

describe("the settings of mails", () => {
  const given = {
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    DATABASE_URL: "postgres://nobody@localhost/unused",
    PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
  };
  const load = (more: NodeJS.ProcessEnv) => loadConfig({ ...platformConfig, ...identityConfig }, { ...given, ...more });

  it("say one way, and from whom", () => {
    assert.deepEqual(identityTogether({ MAIL_SERVER_URL: "smtp://mail:25", MAIL_FOLDER: "/mail" }), [
      "MAIL_FROM: is not set, and MAIL_SERVER_URL is",
      "MAIL_FOLDER: is set, and MAIL_SERVER_URL is: mails go one way",
    ]);
    assert.deepEqual(identityTogether({ MAIL_FOLDER: "/mail" }), []);
  });

  it("say where the token belongs in the page", () => {
    const page = "https://shop.example/password#{token}";
    assert.equal(load({ MAIL_TOKEN_PAGE: page }).MAIL_TOKEN_PAGE, page);
    assert.throws(() => load({ MAIL_TOKEN_PAGE: "https://shop.example/password" }), /must have \{token\}/);
    assert.throws(() => load({ MAIL_TOKEN_PAGE: "javascript:{token}" }), /MAIL_TOKEN_PAGE/);
  });
});

async function deferred(replica: Replica): Promise<number> {
  const { values = [] } = (await replica.registry.getSingleMetric("identity_mails_total")?.get()) ?? {};
  return values.filter(({ labels }) => labels.outcome === "deferred").reduce((sum, { value }) => sum + value, 0);
}
