import { addAbortListener } from "node:events";
import type { Ticket } from "../operation/operation.ts";

/** Lets callers wait, for a while, until their operation is decided by this process. */
export class AwaitedDecisions {
  readonly #waiting = new Map<string, Set<(ticket: Ticket | undefined) => void>>();

  /** The decided operation, or undefined when it is not decided after `ms` milliseconds or the signal fires. */
  async wait(operationId: string, ms: number, signal?: AbortSignal): Promise<Ticket | undefined> {
    if (ms <= 0 || signal?.aborted) return undefined;
    const { promise, resolve } = Promise.withResolvers<Ticket | undefined>();
    const others = this.#waiting.get(operationId);
    if (others) others.add(resolve);
    else this.#waiting.set(operationId, new Set([resolve]));
    // Every call waits here: a timer that is cleared costs an eighth of one that is aborted.
    const timer = setTimeout(resolve, ms, undefined);
    using _listening = signal && addAbortListener(signal, () => resolve(undefined));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#forget(operationId, resolve);
    }
  }

  /** Tells all that wait for the operation; nothing when it is not decided. */
  announce(ticket: Ticket): void {
    if (!ticket.operation.after) return;
    for (const resolve of this.#waiting.get(ticket.operation.operationId) ?? []) resolve(ticket);
  }

  #forget(operationId: string, resolve: (ticket: Ticket | undefined) => void): void {
    const waiting = this.#waiting.get(operationId);
    waiting?.delete(resolve);
    if (waiting?.size === 0) this.#waiting.delete(operationId);
  }
}
