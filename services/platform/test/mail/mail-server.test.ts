// A mail server over TLS, at which one logs in: nothing is sent in plain text, to somebody else, or as nobody.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { MailServer, type MailServerOptions } from "#platform/mail/mail-server.ts";
import { Authority } from "#testing/certificates.ts";
import { secretOf } from "#testing/secret.ts";

const mail = {
  to: { name: "Ada Lovelace", address: "ada@example.com" },
  id: "one",
  language: "en",
  subject: "subject",
  text: "text",
  html: "<p>text</p>",
};

describe("a mail server", () => {
  let authority: Authority;
  let files: Awaited<ReturnType<Authority["issue"]>>;
  before(async () => {
    authority = await Authority.create();
    files = await authority.issue("localhost");
  });
  after(() => authority?.[Symbol.asyncDispose]());

  /** One that takes mails of `shop` with the password "right", and what it took. */
  async function serve(given: SMTPServerOptions = {}) {
    const taken: string[] = [];
    const server = new SMTPServer({
      key: readFileSync(files.GRPC_TLS_KEY),
      cert: readFileSync(files.GRPC_TLS_CERT),
      disableReverseLookup: true,
      closeTimeout: 100,
      logger: false,
      onAuth: ({ username, password }, _session, callback) => {
        const isRight = username === "shop" && password === "right";
        if (isRight) callback(null, { user: username });
        else callback(Object.assign(new Error("wrong"), { responseCode: 535 }));
      },
      onData: (stream, { secure }, callback) => {
        text(stream).then((raw) => {
          taken.push(`${secure ? "secret" : "plain"} ${/^Message-ID: (.*)$/im.exec(raw)?.[1]}`);
          callback();
        }, callback);
      },
      ...given,
    });
    server.on("error", () => undefined);
    const listener = server.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const close = () => new Promise<void>((resolve) => server.close(resolve));
    return { port, taken, [Symbol.asyncDispose]: close };
  }

  function client(port: number, given: Partial<MailServerOptions> = {}): MailServer {
    return new MailServer({
      url: `smtp://localhost:${port}`,
      username: "shop",
      password: secretOf("right"),
      caFile: files.GRPC_TLS_CA,
      tls: true,
      from: { name: "The shop", address: "orders@shop.example" },
      connections: 1,
      timeoutMs: 5_000,
      ...given,
    });
  }

  async function outcomes(server: MailServer, times = 1): Promise<string[]> {
    const said: string[] = [];
    for (let time = 0; time < times; time += 1) {
      const { outcome, reason } = await server.send(mail);
      said.push(`${outcome} ${reason}`.trim());
    }
    await server.close();
    return said;
  }

  it("takes mails over TLS from who logs in, one after the other", async () => {
    await using server = await serve();
    assert.deepEqual(await outcomes(client(server.port), 3), ["sent", "sent", "sent"]);
    assert.deepEqual(new Set(server.taken), new Set(["secret <one@shop.example>"]));
  });

  it("takes them over TLS from the first byte", async () => {
    await using server = await serve({ secure: true });
    assert.deepEqual(await outcomes(client(server.port, { url: `smtps://localhost:${server.port}` })), ["sent"]);
  });

  it("is sent nothing when it does not speak TLS, or is not who it says", async () => {
    await using plain = await serve({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true });
    const [said = ""] = await outcomes(client(plain.port));
    assert.match(said, /^away /);
    await using other = await serve();
    await using strangers = await Authority.create();
    const { GRPC_TLS_CA: caFile } = await strangers.issue("localhost");
    assert.match((await outcomes(client(other.port, { caFile })))[0] ?? "", /^away /);
    assert.match((await outcomes(client(other.port, { caFile: "/nowhere" })))[0] ?? "", /^away enoent/);
    assert.deepEqual([...plain.taken, ...other.taken], []);
  });

  it("is away for who has the wrong password, until it is the right one", async () => {
    await using server = await serve();
    const file = join(authority.folder, "password");
    writeFileSync(file, "wrong");
    const password = secretOf("wrong");
    password.follow({ name: "MAIL_PASSWORD", file });
    const mails = client(server.port, { password });
    assert.deepEqual(await mails.send(mail), { outcome: "away", reason: "smtp 535" });
    writeFileSync(file, "right");
    assert.ok(password.look());
    assert.deepEqual(await outcomes(mails), ["sent"]);
  });

  it("that says nothing is not waited for", async () => {
    await using server = await serve({ onData: () => undefined });
    const begun = performance.now();
    assert.match((await outcomes(client(server.port, { timeoutMs: 1_000 })))[0] ?? "", /^away /);
    assert.ok(performance.now() - begun < 5_000);
  });
});
