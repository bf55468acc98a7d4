import type { Telling } from "#platform/batch/tell-each.ts";
import type { Logger } from "#platform/log/logger.ts";

/** What was told, and why orders never takes it; empty when it has. */
export interface Closed<T> {
  readonly entry: T;
  readonly refusal: string;
}

/** Where it is written down how the telling of entries to orders ended. */
export interface ToldOutbox<T> {
  /** What an entry is, for the log: `the news of a shipment`. */
  readonly what: string;
  readonly fieldsOf: (entry: T) => Readonly<Record<string, string>>;
  /** Told what orders refuses, or fails for. */
  readonly log: Pick<Logger, "warn">;
  /** These are done with. */
  readonly close: (closed: readonly Closed<T>[]) => Promise<void>;
  /** These are told again. */
  readonly defer: (entries: readonly T[]) => Promise<void>;
  /** Told how each ended, once it is written down. */
  readonly onOutcome?: (entry: T, outcome: Telling["kind"]) => void;
}

/**
 * Writes down how the telling of entries to orders ended: what it refuses is put aside, what it fails for is told again. Returns how many were taken or
 * refused. That orders is away is said once, by whoever sweeps.
 *
 * @param answers one for each entry, in their order
 * @throws when orders is away, after all were put off
 */
export async function settleTold<T>(
  entries: readonly T[],
  answers: readonly Telling[],
  outbox: ToldOutbox<T>,
): Promise<number> {
  const { close, defer, onOutcome } = outbox;
  const told = entries.flatMap((entry, index) => {
    const answer = answers[index];
    return answer ? [{ entry, answer }] : [];
  });
  const closed = told.flatMap(({ entry, answer }) => {
    if (answer.kind === "failed") return [];
    return [{ entry, refusal: answer.kind === "refused" ? answer.reason : "" }];
  });
  await close(closed);
  await defer(told.flatMap(({ entry, answer }) => (answer.kind === "failed" ? [entry] : [])));
  for (const { entry, answer } of told) {
    onOutcome?.(entry, answer.kind);
    say(entry, answer, outbox);
  }
  const away = answers.find((answer) => answer.kind === "failed" && answer.away);
  if (away?.kind === "failed" && closed.length === 0) throw away.error;
  return closed.length;
}

function say<T>(entry: T, answer: Telling, { what, fieldsOf, log }: ToldOutbox<T>): void {
  if (answer.kind === "refused") {
    log.warn(`orders refuses ${what}, which is put aside`, { ...fieldsOf(entry), "error.type": answer.reason });
  } else if (answer.kind === "failed" && !answer.away) {
    log.warn(`orders fails for ${what} and is told again`, { ...fieldsOf(entry), err: answer.error });
  }
}
