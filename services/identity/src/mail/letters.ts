import type { Letter } from "#platform/mail/letter.ts";
import type { MailMessage, NoticeMail, PasswordMail } from "./mail.ts";

/** The languages that mails are written in. */
export const languages = ["en", "de"] as const;
export type Language = (typeof languages)[number];

/** How letters are written. */
export interface Style {
  readonly language: Language;
  /** What people know the shop by. */
  readonly shopName: string;
  /** The page on which a password is set, with `{token}` where the token belongs; without one the token stands in the letter. */
  readonly tokenPage: string | undefined;
}

/** What is said in one language. */
interface Words {
  readonly greeting: string;
  readonly closing: (shopName: string) => string;
  readonly token: {
    readonly subject: (shopName: string) => string;
    /** What somebody wants, how it is done with a link or with what follows, and what to do if it was somebody else. */
    readonly paragraphs: (told: { shopName: string; hasLink: boolean; until: string }) => string[];
    readonly label: string;
  };
  readonly notices: Readonly<Record<NoticeMail["kind"], { readonly subject: string; readonly said: string }>>;
  readonly when: (time: string) => string;
  /** What to do if it was somebody else. */
  readonly otherwise: string;
}

const english: Words = {
  greeting: "Hello,",
  closing: (shopName) => `Kind regards, ${shopName}`,
  token: {
    subject: (shopName) => `Your password at ${shopName}`,
    paragraphs: ({ shopName, hasLink, until }) => [
      `Somebody, probably you, wants to set a password for this address at ${shopName}.`,
      `${hasLink ? "The link below leads to the page where that is done." : "What follows is asked for where that is done."} It is good once, until ${until}, and until another one is asked for.`,
      "If it was not you, there is nothing to do: without it nobody can set a password. Give it to nobody.",
    ],
    label: "Set a password",
  },
  notices: {
    password_changed: { subject: "Your password was changed", said: "The password of your account was changed." },
    second_factor_confirmed: {
      subject: "Codes are asked for from now on",
      said: "A second factor was set up for your account: from now on a code of your app is asked for besides the password.",
    },
    second_factor_disabled: {
      subject: "Codes are not asked for any more",
      said: "The second factor of your account was taken away: the password alone is asked for.",
    },
    second_factor_reset: {
      subject: "Codes are not asked for any more",
      said: "The second factor of your account was taken away by somebody who looks after accounts here: the password alone is asked for.",
    },
    recovery_code_used: {
      subject: "A recovery code was used",
      said: "Somebody has logged in to your account with one of its recovery codes instead of a code of your app.",
    },
    codes_refused: {
      subject: "Somebody knows your password",
      said: "Somebody has shown the right password of your account several times, and codes that were wrong.",
    },
  },
  when: (time) => `It was at ${time}.`,
  otherwise:
    "If it was not you, set another password at once, which ends everything that is logged in, and write to us.",
};

const german: Words = {
  greeting: "Guten Tag,",
  closing: (shopName) => `Viele Grüße, ${shopName}`,
  token: {
    subject: (shopName) => `Ihr Passwort bei ${shopName}`,
    paragraphs: ({ shopName, hasLink, until }) => [
      `Jemand, vermutlich Sie selbst, möchte bei ${shopName} für diese Adresse ein Passwort setzen.`,
      hasLink
        ? "Der Link unten führt zu der Seite, auf der das geschieht."
        : "Was hier folgt, wird dort verlangt, wo das geschieht.",
      `Das geht einmal, bis ${until}, und nur, bis noch einmal danach gefragt wird.`,
      "Wenn Sie es nicht waren, brauchen Sie nichts zu tun: Ohne das kann niemand ein Passwort setzen. Geben Sie es niemandem.",
    ],
    label: "Passwort setzen",
  },
  notices: {
    password_changed: {
      subject: "Ihr Passwort wurde geändert",
      said: "Das Passwort Ihres Kontos wurde geändert.",
    },
    second_factor_confirmed: {
      subject: "Ab jetzt wird ein Code verlangt",
      said: "Für Ihr Konto wurde ein zweiter Faktor eingerichtet: Ab jetzt wird neben dem Passwort ein Code Ihrer App verlangt.",
    },
    second_factor_disabled: {
      subject: "Es wird kein Code mehr verlangt",
      said: "Der zweite Faktor Ihres Kontos wurde entfernt: Es wird nur noch das Passwort verlangt.",
    },
    second_factor_reset: {
      subject: "Es wird kein Code mehr verlangt",
      said: "Der zweite Faktor Ihres Kontos wurde von jemandem entfernt, der hier Konten betreut: Es wird nur noch das Passwort verlangt.",
    },
    recovery_code_used: {
      subject: "Ein Wiederherstellungscode wurde benutzt",
      said: "Jemand hat sich in Ihrem Konto mit einem Wiederherstellungscode statt mit einem Code Ihrer App angemeldet.",
    },
    codes_refused: {
      subject: "Jemand kennt Ihr Passwort",
      said: "Jemand hat mehrmals das richtige Passwort Ihres Kontos gezeigt, aber falsche Codes.",
    },
  },
  when: (time) => `Das war am ${time}.`,
  otherwise:
    "Wenn Sie es nicht waren, setzen Sie sofort ein anderes Passwort, das alles beendet, was angemeldet ist, und schreiben Sie uns.",
};

const words: Readonly<Record<Language, Words>> = { en: english, de: german };

/** What a mail says. */
export function letterOf(message: MailMessage, style: Style): Letter {
  return message.kind === "password_token" ? tokenLetter(message, style) : noticeLetter(message, style);
}

function tokenLetter({ token, expireTime }: PasswordMail, { language, shopName, tokenPage }: Style): Letter {
  const { greeting, closing, token: said } = words[language];
  const hasLink = tokenPage !== undefined;
  return {
    subject: said.subject(shopName),
    greeting,
    paragraphs: said.paragraphs({ shopName, hasLink, until: timeText(expireTime, language) }),
    items: hasLink ? [] : [token],
    ...(hasLink && { link: { label: said.label, url: tokenPage.replace("{token}", encodeURIComponent(token)) } }),
    closing: closing(shopName),
  };
}

function noticeLetter({ kind, time }: NoticeMail, { language, shopName }: Style): Letter {
  const { greeting, closing, notices, when, otherwise } = words[language];
  const { subject, said } = notices[kind];
  return {
    subject,
    greeting,
    paragraphs: [`${said} ${when(timeText(time, language))}`, otherwise],
    items: [],
    closing: closing(shopName),
  };
}

/** In UTC, and says so: nobody here knows where somebody is. */
function timeText(time: Date, language: Language): string {
  const format = { dateStyle: "long", timeStyle: "short", timeZone: "UTC" } as const;
  return `${new Intl.DateTimeFormat(language, format).format(time)} UTC`;
}
