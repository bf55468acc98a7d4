import type { Quota } from "#platform/limit-settings.ts";
import type { Ledger } from "./ledger.ts";

/** What became of a call, and what its caller has left. */
export interface Taken {
  readonly taken: boolean;
  /** How many calls may follow at once. */
  readonly left: number;
  /** When the next call may be made, in milliseconds; 0 when one may be made now. */
  readonly waitMs: number;
  /** When everything that was used is back, in milliseconds. */
  readonly wholeMs: number;
}

/** How a quota is kept. */
export interface BudgetOptions {
  /** What callers' budgets are called in the ledger. */
  readonly name?: string;
  /** Where replicas tell each other what callers have used. */
  readonly ledger?: Ledger | undefined;
  /** By how many the quota is divided while they cannot; default 1. */
  readonly replicas?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** How many callers are remembered. */
  readonly most?: number;
}

/** What one caller has used. */
interface Account {
  /** When all of it is back. */
  wholeAt: number;
  /** Calls that the ledger does not know of. */
  untold: number;
  telling: boolean;
}

/** Some megabytes. Beyond it the caller who was silent for longest begins anew. */
const mostCallers = 50_000;
/** Sums of fractions are not exact. */
const epsilonMs = 1e-6;
/** The ledger is told after this part of a quota: nothing of those who call seldom, and little of the others. */
const toldPart = 1 / 20;
/** What replicas let through before they knew of each other is paid back, up to so many quotas. */
const mostOwed = 2;

/**
 * What each caller has left of a quota: a bucket of tokens that fills up again by itself, kept as the time at which it will be full
 * (the "generic cell rate algorithm"), so that nothing has to be done for callers who are silent.
 *
 * Decisions are made here, without asking anybody. With a ledger the replicas tell each other what was taken, after the fact: for a
 * moment each may give what another one has given, and what was too much is owed until it is back.
 */
export class Budget {
  readonly quota: Quota;
  readonly #name: string;
  readonly #ledger: Ledger | undefined;
  readonly #replicas: number;
  readonly #now: () => number;
  readonly #most: number;
  /** So many calls are told together. */
  readonly #together: number;
  /** By the caller, the one who was silent for longest first. */
  readonly #accounts = new Map<string, Account>();

  constructor(quota: Quota, options: BudgetOptions = {}) {
    const { name = "", ledger, replicas = 1, now = () => performance.now(), most = mostCallers } = options;
    this.quota = quota;
    this.#name = name;
    this.#ledger = ledger;
    this.#replicas = replicas;
    this.#now = now;
    this.#most = most;
    this.#together = Math.max(1, Math.floor(quota.calls * toldPart));
  }

  /** How many callers it remembers. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Takes one call out of a caller's budget; nothing when there is none left. */
  take(who: string): Taken {
    const { windowMs } = this.quota;
    const each = this.#costMs();
    const now = this.#now();
    const account = this.#accounts.get(who) ?? { wholeAt: 0, untold: 0, telling: false };
    const used = Math.max(0, account.wholeAt - now);
    const taken = used + each <= windowMs + epsilonMs;
    const wholeMs = taken ? used + each : used;
    if (taken) {
      account.wholeAt = now + wholeMs;
      this.#remember(who, account);
      // What is back need not be told any more.
      account.untold = used === 0 ? 1 : account.untold + 1;
      if (account.untold >= this.#together && !account.telling) this.#tell(who, account);
    }
    const left = Math.max(0, Math.floor((windowMs - wholeMs + epsilonMs) / each));
    return { taken, left, waitMs: Math.max(0, wholeMs + each - windowMs), wholeMs };
  }

  /** Whether a caller may make another call. */
  has(who: string): boolean {
    const used = (this.#accounts.get(who)?.wholeAt ?? 0) - this.#now();
    return used + this.#costMs() <= this.quota.windowMs + epsilonMs;
  }

  /** How long it takes until one call is back. A replica that knows of no others takes its part of the quota. */
  #costMs(): number {
    const parts = this.#ledger?.isThere ? 1 : this.#replicas;
    return (this.quota.windowMs * parts) / this.quota.calls;
  }

  #remember(who: string, account: Account): void {
    if (!this.#accounts.delete(who) && this.#accounts.size >= this.#most) {
      const [silent] = this.#accounts.keys();
      if (silent !== undefined) this.#accounts.delete(silent);
    }
    this.#accounts.set(who, account);
  }

  #tell(who: string, account: Account): void {
    if (!this.#ledger?.isThere) return;
    const { calls, windowMs } = this.quota;
    const costMs = (account.untold * windowMs) / calls;
    account.untold = 0;
    account.telling = true;
    this.#ledger.write({
      key: `${this.#name} ${who}`,
      costMs,
      mostMs: windowMs * mostOwed,
      onUsed: (usedMs) => {
        account.telling = false;
        account.wholeAt = this.#now() + usedMs + (account.untold * windowMs) / calls;
        if (account.untold >= this.#together) this.#tell(who, account);
      },
      onLost: () => {
        account.telling = false;
      },
    });
  }
}
