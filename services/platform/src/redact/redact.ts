import winston from "winston";
import { isCardNumber } from "./card-number.ts";
import { redacted, redactText } from "./redact-text.ts";

/** How deep, and how many values of one line, are looked at; what lies beyond is left out of the line. */
const deepest = 8;
const mostValues = 2000;
const mostEntries = 200;

/** Names, in lower case without separators, of fields whose value is never written. */
const secretNames = new Set(
  (
    "authorization proxyauthorization cookie setcookie password passwd passphrase pwd secret apikey xapikey privatekey " +
    "credential credentials jwt dsn databaseurl connectionstring cvv cvv2 cvc cvc2 csc cv2 cid securitycode pin " +
    "cardverification verificationcode pan cardnumber primaryaccountnumber accountnumber iban " +
    "expmonth expyear trackdata email emailaddress emailhash phone phonenumber telephone mobile fax givenname familyname firstname " +
    "lastname fullname middlename surname customername cardholder cardholdername recipient address addresses " +
    "shippingaddress billingaddress addressline addressline1 addressline2 addresslines street streetaddress city " +
    "otpauthuri recoverycodes postalcode postcode zip zipcode dateofbirth birthdate ssn"
  ).split(" "),
);

/** Endings of such names: `refreshToken`, `customer_email`, `smtp.password`. */
const secretEndings = /(?:token|secret|password|apikey|email|phonenumber|cardnumber)$/;

/** ECS fields that a rule above would take for personal data; these are machines, and ids that our own tracer made. */
const harmlessNames = new Set([
  ...["client", "server", "source", "destination"].map((side) => `${side}.address`),
  ...["@timestamp", "ecs.version", "log.level", "level", "trace.id", "span.id", "transaction.id", "parent.id"],
]);

type Treatment = "secret" | "harmless" | "look";
const treatments = new Map<string, Treatment>();

function decide(name: string): Treatment {
  if (harmlessNames.has(name)) return "harmless";
  const last = name.slice(name.lastIndexOf(".") + 1);
  const plain = last.replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();
  return secretNames.has(plain) || secretEndings.test(plain) ? "secret" : "look";
}

/** Remembered, because the same few hundred names come on every line; not without bound, as callers may choose names. */
function treatmentOf(name: string): Treatment {
  const known = treatments.get(name);
  if (known) return known;
  const treatment = decide(name);
  if (treatments.size < 2000) treatments.set(name, treatment);
  return treatment;
}

interface Budget {
  values: number;
}

/**
 * A copy of a log line's fields without what must not be in a log, by name of the field and by pattern in its text.
 * At most 8 levels, 2,000 values and 200 entries of each list are looked at; what lies beyond is left out, never written
 * unseen. Returns the same object when there is nothing to take out. Never throws.
 */
export function redact<T>(value: T): T;
export function redact(value: unknown): unknown {
  return redactValue(value, deepest, { values: mostValues });
}

function redactValue(value: unknown, depth: number, budget: Budget): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "number" || typeof value === "bigint") return redactNumber(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return value;
  if (depth === 0 || budget.values <= 0) return "[too deep or too much]";
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return redactError(value, depth, budget);
  if (value instanceof Map || (typeof Headers !== "undefined" && value instanceof Headers)) {
    return redactObject(Object.fromEntries(value), depth, budget);
  }
  if (value instanceof Set) return redactList([...value], depth, budget);
  return Array.isArray(value) ? redactList(value, depth, budget) : redactObject(value, depth, budget);
}

function redactNumber(value: number | bigint): unknown {
  // 12 digits and more; amounts of our currencies in minor units and times in milliseconds are no card numbers.
  return value >= 1e11 && isCardNumber(String(value)) ? redacted : value;
}

function redactList(list: readonly unknown[], depth: number, budget: Budget): unknown {
  let changed = list.length > mostEntries;
  const copy = list.slice(0, mostEntries).map((entry) => {
    budget.values--;
    const bare = redactValue(entry, depth - 1, budget);
    changed ||= bare !== entry;
    return bare;
  });
  if (list.length > mostEntries) copy.push(`${list.length - mostEntries} more`);
  return changed ? copy : list;
}

function redactObject(object: object, depth: number, budget: Budget): object {
  let copy: Record<string, unknown> | undefined;
  let seen = 0;
  for (const [name, value] of entriesOf(object)) {
    budget.values--;
    if (++seen > mostEntries || budget.values < 0) {
      copy ??= { ...object };
      delete copy[name];
      continue;
    }
    const bareName = redactText(name);
    const bare = redactField(name, value, depth, budget);
    if (bare === value && bareName === name) continue;
    copy ??= { ...object };
    if (bareName !== name) delete copy[name];
    copy[bareName] = bare;
  }
  return copy ?? object;
}

function redactField(name: string, value: unknown, depth: number, budget: Budget): unknown {
  const treatment = treatmentOf(name);
  if (treatment === "look") return redactValue(value, depth - 1, budget);
  if (treatment === "secret") return value === undefined || value === null || value === "" ? value : redacted;
  return typeof value === "string" && value.length <= 64 ? value : redactValue(value, depth - 1, budget);
}

/** The entries of an object; of one whose getters throw, none. */
function entriesOf(object: object): [string, unknown][] {
  try {
    return Object.entries(object);
  } catch {
    return [];
  }
}

function redactError(error: Error, depth: number, budget: Budget): Error {
  const message = redactText(error.message);
  const stack = error.stack === undefined ? undefined : redactText(error.stack);
  const fields = redactObject(error, depth, budget);
  const cause = redactValue(error.cause, depth - 1, budget);
  if (message === error.message && stack === error.stack && fields === error && cause === error.cause) return error;
  // The formatter names the error by its constructor, which must therefore stay.
  const copy: Error = Object.create(Object.getPrototypeOf(error) as object);
  const shown = fields === error ? { ...error } : fields;
  return Object.defineProperties(Object.assign(copy, shown), {
    name: { value: error.name, configurable: true, writable: true },
    message: { value: message, configurable: true, writable: true },
    stack: { value: stack, configurable: true, writable: true },
    ...(cause !== undefined && { cause: { value: cause, configurable: true, writable: true } }),
  });
}

/**
 * Redacts every line before it is written. Must come after whatever adds fields, and before what makes text of them.
 * The longest message or field is 16,384 characters.
 */
export const redaction = winston.format((info) => {
  const { level } = info;
  const bare = redact(info as Record<string | symbol, unknown>);
  if (bare === info) return info;
  // winston keeps its own notes on a line under symbols; a spread keeps them, and the level is never redacted.
  return Object.assign(bare, { level }) as winston.Logform.TransformableInfo;
});
