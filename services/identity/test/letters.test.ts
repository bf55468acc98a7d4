import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toHtml, toText } from "#platform/mail/letter.ts";
import { type Language, languages, letterOf, type Style } from "../src/mail/letters.ts";
import { type MailMessage, mailKinds } from "../src/mail/mail.ts";

const mailed = "of-a-test_0123456789";
const email = "ada@example.com";
const time = new Date("2026-12-03T10:20:30Z");

function messageOf(kind: (typeof mailKinds)[number]): MailMessage {
  return kind === "password_token" ? { kind, email, token: mailed, expireTime: time } : { kind, email, time };
}

function style(language: Language, tokenPage?: string): Style {
  return { language, shopName: "Otters & Co", tokenPage };
}

describe("a letter to who logs in", () => {
  for (const language of languages) {
    for (const kind of mailKinds) {
      it(`says ${kind} in ${language}, when, and by whom, and names no address`, () => {
        const letter = letterOf(messageOf(kind), style(language));
        const text = toText(letter);
        const said = language === "de" ? /3\. Dezember 2026 um 10:20 UTC/ : /December 3, 2026 at 10:20 AM UTC/;
        assert.match(text, said);
        assert.match(text, /Otters & Co$/m);
        assert.match(toHtml(letter, language), /Otters &amp; Co/);
        assert.doesNotMatch(text, /ada|undefined|\{|\}/);
        assert.ok(letter.subject.length > 0 && !letter.subject.includes(mailed));
      });
    }

    it(`has the token in it, or a link with it, in ${language}`, () => {
      const plain = toText(letterOf(messageOf("password_token"), style(language)));
      assert.ok(plain.includes(`\n- ${mailed}\n`), plain);
      const linked = letterOf(messageOf("password_token"), style(language, "https://shop.example/password#{token}"));
      const url = `https://shop.example/password#${mailed}`;
      assert.ok(toText(linked).includes(`:\n${url}\n`), toText(linked));
      assert.ok(toHtml(linked, language).includes(`<a href="${url}">`), toHtml(linked, language));
      assert.deepEqual(linked.items, []);
    });
  }

  it("says different things of different kinds", () => {
    for (const language of languages) {
      const texts = mailKinds.map((kind) => toText(letterOf(messageOf(kind), style(language))));
      assert.equal(new Set(texts).size, mailKinds.length);
    }
  });
});
