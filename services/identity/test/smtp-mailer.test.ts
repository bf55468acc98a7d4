import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Mail, MailOutcome } from "#platform/mail/mail-server.ts";
import { until } from "#testing/until.ts";
import type { MailMessage } from "../src/mail/mail.ts";
import { SmtpMailer, type SmtpMailerOptions } from "../src/mail/smtp-mailer.ts";

const style = { language: "en", shopName: "Otters", tokenPage: undefined } as const;

function tokenFor(email: string, token: string, goodForMs = 60_000): MailMessage {
  return { kind: "password_token", email, token, expireTime: new Date(Date.now() + goodForMs) };
}

/** A mail server that says what it is told to, the last of it for ever. */
class Server {
  readonly attempts: Mail[] = [];
  closed = false;
  says: MailOutcome["outcome"][];

  constructor(...says: MailOutcome["outcome"][]) {
    this.says = says;
  }

  async send(mail: Mail): Promise<MailOutcome> {
    this.attempts.push(mail);
    const outcome = this.says.length > 1 ? this.says.shift() : this.says[0];
    return { outcome: outcome ?? "sent", reason: outcome === "sent" ? "" : "smtp 451" };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function mailerOn(server: Server, more: Pick<SmtpMailerOptions, "mostWaiting" | "firstPauseMs"> = {}) {
  const outcomes: string[] = [];
  const count: SmtpMailerOptions["count"] = (_kind, outcome) => outcomes.push(outcome);
  return { mailer: new SmtpMailer({ server, style, count, firstPauseMs: 5, ...more }), outcomes };
}

describe("mails by SMTP", () => {
  it("go once, when the server takes them", async () => {
    const server = new Server("sent");
    const { mailer, outcomes } = mailerOn(server);
    await mailer.send(tokenFor("ada@example.com", "a-token"));
    assert.deepEqual(
      server.attempts.map(({ to, language }) => [to, language]),
      [[{ name: "", address: "ada@example.com" }, "en"]],
    );
    assert.match(server.attempts[0]?.text ?? "", /a-token/);
    assert.deepEqual(outcomes, ["sent"]);
  });

  it("go again under the same id, when it takes them later, or was away", async () => {
    const server = new Server("away", "deferred", "sent");
    const { mailer, outcomes } = mailerOn(server);
    await mailer.send({ kind: "password_changed", email: "ada@example.com", time: new Date() });
    assert.equal(server.attempts.length, 3);
    assert.equal(new Set(server.attempts.map(({ id }) => id)).size, 1);
    assert.deepEqual(outcomes, ["deferred", "deferred", "sent"]);
  });

  it("are given up when it never takes them, and when their token is over", async () => {
    const refusing = mailerOn(new Server("refused"));
    await assert.rejects(refusing.mailer.send(tokenFor("ada@example.com", "one")), /refuses it: smtp 451/);
    const away = mailerOn(new Server("away"));
    await assert.rejects(away.mailer.send(tokenFor("ada@example.com", "one", 40)), /not taken it in time: smtp 451/);
    for (const { outcomes } of [refusing, away]) assert.equal(outcomes.at(-1), "failed");
  });

  it("with a token that was replaced are sent no more, and those of others are", async () => {
    const server = new Server("away");
    const { mailer } = mailerOn(server, { firstPauseMs: 20 });
    const first = mailer.send(tokenFor("ada@example.com", "first"));
    const other = mailer.send(tokenFor("bea@example.com", "other"));
    const notice = mailer.send({ kind: "password_changed", email: "ada@example.com", time: new Date() });
    await until(() => server.attempts.length >= 3, "all are tried");
    const second = mailer.send(tokenFor("ada@example.com", "second"));
    await assert.rejects(first, /another token was asked for/);
    server.says = ["sent"];
    await Promise.all([second, other, notice]);
    const taken = server.attempts.slice(-3).map(({ text }) => text);
    assert.ok(taken.every((text) => !text.includes("first")));
  });

  it("are not kept waiting beyond a bound", async () => {
    const server = new Server("away");
    const { mailer, outcomes } = mailerOn(server, { mostWaiting: 2, firstPauseMs: 10_000 });
    const waiting = ["ada", "bea"].map((name) => mailer.send(tokenFor(`${name}@example.com`, name)));
    await assert.rejects(mailer.send(tokenFor("cleo@example.com", "cleo")), /2 mails wait already/);
    assert.deepEqual(
      outcomes.filter((outcome) => outcome === "failed"),
      ["failed"],
    );
    const ended = Promise.allSettled(waiting);
    await mailer.stop();
    await ended;
  });

  it("that wait are given up when the service stops, and those on their way are not", async () => {
    const server = new Server("away");
    const { mailer } = mailerOn(server, { firstPauseMs: 10_000 });
    const waiting = mailer.send(tokenFor("ada@example.com", "ada"));
    await until(() => server.attempts.length === 1, "it is tried");
    const { promise, resolve } = Promise.withResolvers<MailOutcome>();
    server.send = () => promise;
    const onItsWay = mailer.send(tokenFor("bea@example.com", "bea"));
    const given = assert.rejects(waiting, /the service stops/);
    const stopped = mailer.stop();
    await given;
    await pause(20);
    assert.equal(server.closed, false);
    resolve({ outcome: "sent", reason: "" });
    await Promise.all([onItsWay, stopped]);
    assert.equal(server.closed, true);
    await assert.rejects(mailer.send(tokenFor("cleo@example.com", "cleo")), /the service stops/);
  });
});
