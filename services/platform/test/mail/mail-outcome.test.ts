import assert from "node:assert/strict";
import { test } from "node:test";
import { isMailAddress } from "#platform/mail/mail-address.ts";
import { outcomeOf } from "#platform/mail/mail-server.ts";

test("what a mail server says of a mail is told from what it says of whoever sends it, or does not say", () => {
  const cases: [failure: object, outcome: string, reason: string][] = [
    [
      { responseCode: 550, command: "RCPT TO", response: "550 5.1.1 <ada@example.com>: unknown" },
      "refused",
      "smtp 550 5.1.1",
    ],
    [{ responseCode: 501, command: "RCPT TO", response: "501 bad address" }, "refused", "smtp 501"],
    [{ responseCode: 554, command: "DATA", response: "554-5.7.1 spam" }, "refused", "smtp 554 5.7.1"],
    [{ responseCode: 451, command: "RCPT TO", response: "451 4.7.1 greylisted" }, "deferred", "smtp 451 4.7.1"],
    [{ responseCode: 452, command: "DATA", response: "452 full" }, "deferred", "smtp 452"],
    [{ responseCode: 421, command: "RCPT TO", response: "421 bye" }, "away", "smtp 421"],
    [{ responseCode: 530, command: "RCPT TO", response: "530 log in" }, "away", "smtp 530"],
    [{ responseCode: 535, command: "AUTH PLAIN", response: "535 wrong" }, "away", "smtp 535"],
    [{ responseCode: 550, command: "MAIL FROM", response: "550 not you" }, "away", "smtp 550"],
    [{ code: "ESOCKET", command: "CONN" }, "away", "esocket"],
    [{ code: "ETLS" }, "away", "etls"],
    [new Error("whatever"), "away", "unknown"],
  ];
  for (const [failure, outcome, reason] of cases) assert.deepEqual(outcomeOf(failure), { outcome, reason });
});

test("an address is one address, and can be nothing else", () => {
  const good = [
    "ada@example.com",
    "a+b.c@sub.example.co.uk",
    "ñandú@example.com",
    "ada@[192.0.2.1]".replace(/[[\]]/g, ""),
  ];
  for (const text of good) assert.ok(isMailAddress(text), text);
  const bad = [
    "",
    "ada",
    "ada@example.com\r\nBcc: evil@example.com",
    "ada@example.com, evil@example.com",
    "Ada <ada@example.com>",
    '"ada b"@example.com',
    "ada@evil@example.com",
    "ada @example.com",
    "ada@example.com\0",
    `${"a".repeat(65)}@example.com`,
  ];
  for (const text of bad) assert.ok(!isMailAddress(text), text);
});
