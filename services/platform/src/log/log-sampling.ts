import winston from "winston";

/** Lines of one kind that were left out since the last that was written. */
export interface Repeated {
  readonly level: string;
  /** The message of the first that was left out. */
  readonly message: string;
  readonly count: number;
}

/** How many equal lines are written. */
export interface SamplingOptions {
  /** So many of one kind are written in each period; 10 unless given. */
  readonly first?: number;
  /** The length of a period in milliseconds; 10,000 unless given. */
  readonly periodMs?: number;
  /**
   * So many kinds are remembered, and as many again of lines that name an order or the like; 500 unless given. The one
   * that has been known longest is forgotten, and reported.
   */
  readonly kinds?: number;
  /** Told at the end of a period that left lines out. */
  readonly report: (repeated: Repeated) => void;
  /** The time in milliseconds; for tests. */
  readonly now?: () => number;
}

interface Kind {
  readonly level: string;
  readonly message: string;
  until: number;
  written: number;
  leftOut: number;
}

/** The field of a line that says how many of its kind were left out before it. */
export const repeatedField = "log.repeated";

/** So much of a message tells one kind from another, in characters. */
const telling = 200;

/** What a line is about: lines about two orders are no repetitions of each other, whatever they say. */
const subjects = ["order.id", "saga.id", "payment.id", "reservation.id", "shipment.id", "operation.id"] as const;

function subjectOf(info: winston.Logform.TransformableInfo): string {
  let subject = "";
  for (const name of subjects) if (info[name] !== undefined) subject += `${name}=${String(info[name])}\n`;
  return subject;
}

/**
 * Two lines are of one kind when level, method, `log.logger`, error class and message are equal; digits and ids in the
 * message count as equal.
 */
function kindOf(info: winston.Logform.TransformableInfo): string {
  const message = typeof info.message === "string" ? info.message.slice(0, telling) : "";
  const error = info.err instanceof Error ? info.err.constructor.name : "";
  const plain = /\d/.test(message) ? message.replace(/[\w-]*\d[\w-]*/g, "#") : message;
  return `${info.level}\n${info["log.logger"] ?? ""}\n${info["rpc.method"] ?? ""}\n${error}\n${plain}`;
}

/** Leaves out what repeats, and counts it: nothing is left out unsaid. */
export class RepeatedLines {
  readonly #kinds = new Map<string, Kind>();
  /** Apart, so that many orders with a line each do not push out the kinds that repeat. */
  readonly #kindsWithSubject = new Map<string, Kind>();
  readonly #first: number;
  readonly #periodMs: number;
  readonly #most: number;
  readonly #report: (repeated: Repeated) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #total = 0;

  constructor({ first = 10, periodMs = 10_000, kinds = 500, report, now = Date.now }: SamplingOptions) {
    this.#first = first;
    this.#periodMs = periodMs;
    this.#most = kinds;
    this.#report = report;
    this.#now = now;
  }

  /** How many lines were left out since the process began: for a metric. */
  get leftOut(): number {
    return this.#total;
  }

  /** Whether a line is to be written; counts it when not. Lines that carry a count already pass. */
  admit(info: winston.Logform.TransformableInfo): boolean {
    if (info[repeatedField] !== undefined) return true;
    const now = this.#now();
    const subject = subjectOf(info);
    const kinds = subject === "" ? this.#kinds : this.#kindsWithSubject;
    const key = subject + kindOf(info);
    let kind = kinds.get(key);
    if (!kind || kind.until <= now) {
      if (kind) this.#settle(kinds, key);
      kind = { level: info.level, message: String(info.message), until: now + this.#periodMs, written: 0, leftOut: 0 };
      this.#remember(kinds, key, kind);
    }
    if (kind.written < this.#first) {
      kind.written++;
      return true;
    }
    kind.leftOut++;
    this.#total++;
    this.#timer ??= setInterval(() => this.settle(), this.#periodMs).unref();
    return false;
  }

  /** Reports the kinds whose period is over; all of them with `atOnce`, as a process does before it ends. */
  settle(atOnce = false): void {
    const now = this.#now();
    for (const kinds of [this.#kinds, this.#kindsWithSubject]) {
      for (const [key, kind] of kinds) if (atOnce || kind.until <= now) this.#settle(kinds, key);
    }
    if (!atOnce && this.#kinds.size + this.#kindsWithSubject.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #settle(kinds: Map<string, Kind>, key: string): void {
    const kind = kinds.get(key);
    kinds.delete(key);
    if (kind && kind.leftOut > 0) this.#report({ level: kind.level, message: kind.message, count: kind.leftOut });
  }

  #remember(kinds: Map<string, Kind>, key: string, kind: Kind): void {
    const [oldest] = kinds.size >= this.#most ? kinds.keys() : [];
    if (oldest !== undefined) this.#settle(kinds, oldest);
    kinds.set(key, kind);
  }
}

/** Leaves repeated lines out of a logger. Comes first of its formats, so that what is left out costs nothing more. */
export const sampling = winston.format((info, options) =>
  (options as { lines: RepeatedLines }).lines.admit(info) ? info : false,
);
