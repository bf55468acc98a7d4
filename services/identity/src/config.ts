import { z } from "zod";
import {
  type ConfigOf,
  databaseConfig,
  type EventsConfig,
  type PlatformConfig,
  platformConfig,
  type Together,
} from "#platform/config.ts";
import { roleName } from "#platform/issuer-settings.ts";
import { mailConfig, mailTogether } from "#platform/mail/mail-config.ts";
import { personalConfig } from "#platform/personal/personal-config.ts";
import { languages } from "./mail/letters.ts";

const milliseconds = z.coerce.number().int().min(1);
const minute = 60_000;
const day = 24 * 60 * minute;

/** Names with commas between; none when the text is empty. */
function namesIn(text: string): string[] {
  return text.split(",").flatMap((name) => name.trim() || []);
}

/** What the identity service reads besides the platform's own. Durations are milliseconds. */
export const identityConfig = {
  ...databaseConfig,
  ...personalConfig,
  /** Not asked for: identity takes what it gave itself, and nothing else. */
  TOKEN_ISSUERS: platformConfig.TOKEN_ISSUERS.optional(),
  /** Who gives access tokens, as they say it (`iss`). Below it, at `/.well-known/openid-configuration`, readers find the keys. */
  TOKEN_ISSUER: z.url().default("http://127.0.0.1:8086"),
  /** Whom access tokens are for (`aud`). */
  TOKEN_AUDIENCE: z.string().min(1).default("ordermesh"),
  /** How long an access token is valid: so long does somebody go on whose session was ended, or whose key was revoked. */
  ACCESS_TOKEN_TTL_MS: milliseconds
    .min(minute)
    .max(15 * minute)
    .default(5 * minute),
  /** How long a session may rest before it is over. */
  REFRESH_TOKEN_TTL_MS: milliseconds.default(14 * day),
  /** After how long a session is over, however busy it was. */
  SESSION_MAX_MS: milliseconds.default(30 * day),
  /** How long a token that was sent by mail can be used: ten minutes at most, by ASVS 5.0, V6.5.5. */
  MAIL_TOKEN_TTL_MS: milliseconds.default(10 * minute),
  ...mailConfig,
  /** Instead of a mail server: a folder in which mails are put, a file each, for a developer to look at. With neither none are sent, and nobody can register. */
  MAIL_FOLDER: z.string().optional(),
  /**
   * The page of the shop on which a password is set, with `{token}` where the token belongs, best behind a `#`, which browsers keep to themselves. Without it
   * the token itself is in the mail.
   */
  MAIL_TOKEN_PAGE: z
    .url({ protocol: /^https?$/ })
    .refine(
      (page) => page.includes("{token}"),
      "must have {token} where the token belongs, for example https://shop.example/password#{token}",
    )
    .optional(),
  /** The language of these mails. */
  MAIL_LANGUAGE: z.enum(languages).default("en"),
  /** How many characters a password has at least. 15 where it is all that is asked for: NIST SP 800-63B-4, section 3.1.1.2. */
  PASSWORD_MIN_LENGTH: z.coerce.number().int().min(8).max(64).default(15),
  /** Passwords that are hashed at the same time: each takes 19 MiB and a thread of four, which files and names share. */
  PASSWORD_LANES: z.coerce.number().int().min(1).max(16).default(2),
  /** Passwords that may be tried for one address at once, or codes for one person; each further one doubles the time until the next, from one second on. */
  LOGIN_FREE_ATTEMPTS: z.coerce.number().int().min(1).max(20).default(5),
  /** The longest time until the next attempt. */
  LOGIN_DELAY_MAX_MS: milliseconds.min(1_000).default(15 * minute),
  /** After so many attempts in a row only a reset of the password helps, or a recovery code: at most 100, by NIST SP 800-63B-4, section 3.2.2. */
  LOGIN_ATTEMPTS_MAX: z.coerce.number().int().min(5).max(100).default(100),
  /**
   * Roles that count only for whoever has logged in with a second factor, with commas between; from others they are withheld. Needs
   * `PERSONAL_DATA_KEYS`. API keys are of programs, and keep their roles.
   */
  SECOND_FACTOR_ROLES: z.string().default("").transform(namesIn).pipe(z.array(roleName)),
  /** What people's apps call us, above their codes. */
  SECOND_FACTOR_NAME: z.string().min(1).max(64).default("Ordermesh"),
  /** How old a key becomes that signs access tokens before there is another one. */
  SIGNING_KEY_MAX_AGE_MS: milliseconds.min(minute).default(30 * day),
  /** How long a key is shown to readers before it signs: longer than they keep what they have read. */
  SIGNING_KEY_LEAD_MS: milliseconds.default(15 * minute),
  /** The SHA-256, in hexadecimal, of an API key that is in no row, by which the first others are made. Take it away afterwards. */
  BOOTSTRAP_KEY_SHA256: z
    .string()
    .regex(
      /^[0-9a-f]{64}$/,
      "must be a SHA-256 in hexadecimal: 64 digits and letters from a to f, as sha256sum writes it",
    )
    .optional(),
  /** What its holder is there for, with commas between; who makes keys need be no more than an admin. */
  BOOTSTRAP_KEY_ROLES: z.string().default("admin").transform(namesIn),
};

/** Mails go one way. */
export const identityTogether: Together = (given) => [
  ...mailTogether(given),
  ...(given.MAIL_SERVER_URL && given.MAIL_FOLDER
    ? ["MAIL_FOLDER: is set, and MAIL_SERVER_URL is: mails go one way"]
    : []),
];

/** The values that the service works with. */
export type IdentityConfig = ConfigOf<typeof identityConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
