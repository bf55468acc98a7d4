/** Calls of one caller that the other replicas have to know of. */
export interface Entry {
  /** Whose budget of which class. */
  readonly key: string;
  /** What the calls cost: how long it takes until they are back, in milliseconds. */
  readonly costMs: number;
  /** More than this is never owed, in milliseconds. */
  readonly mostMs: number;
  /** Told how much all replicas together have used, in milliseconds. */
  readonly onUsed: (usedMs: number) => void;
  /** Told instead that nobody has heard of the calls, or that it is not known. */
  readonly onLost: () => void;
}

/** Where the replicas of a service write down what callers have used. */
export interface Ledger {
  /** Whether somebody answers at the moment. */
  readonly isThere: boolean;
  /** Writes calls down, soon: nobody waits for it. */
  write(entry: Entry): void;
}
