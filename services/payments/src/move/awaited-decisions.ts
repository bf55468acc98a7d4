import type { Ticket } from "../operation/operation-recording.ts";

/** Lets callers wait, for a while, until their operation is decided by this process. */
export class Decisions {
  readonly #waiting = new Map<string, Set<(ticket: Ticket | undefined) => void>>();

  /** The decided operation, or undefined when it is not decided after `ms` milliseconds or the signal fires. */
  wait(operationId: string, ms: number, signal?: AbortSignal): Promise<Ticket | undefined> {
    if (ms <= 0 || signal?.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const giveUp = () => settle(undefined);
      const timer = setTimeout(giveUp, ms);
      const settle = (ticket: Ticket | undefined) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", giveUp);
        this.#forget(operationId, settle);
        resolve(ticket);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      const others = this.#waiting.get(operationId);
      if (others) others.add(settle);
      else this.#waiting.set(operationId, new Set([settle]));
    });
  }

  /** Tells all that wait for the operation; nothing when it is not decided. */
  announce(ticket: Ticket): void {
    if (!ticket.operation.after) return;
    for (const settle of [...(this.#waiting.get(ticket.operation.operationId) ?? [])]) settle(ticket);
  }

  #forget(operationId: string, settle: (ticket: Ticket | undefined) => void): void {
    const waiting = this.#waiting.get(operationId);
    waiting?.delete(settle);
    if (waiting?.size === 0) this.#waiting.delete(operationId);
  }
}
