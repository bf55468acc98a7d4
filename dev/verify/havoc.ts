import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { run } from "../../deploy/command/run.ts";
import type { Component } from "../stack/layout.ts";
import type { Stack } from "../stack/stack.ts";
import type { Fault, FaultKind } from "./faults.ts";
import { TemporalHand } from "./temporal-hand.ts";

/** How often episodes that run are looked for, to be ended. */
const huntEveryMs = 40;
/** Episodes that are ended in one look; others come to their end, as in life. */
const huntAtOnce = 3;

/** Does to a stack what was drawn. */
export class Havoc {
  readonly #stack: Stack;
  readonly #temporal: TemporalHand;
  readonly #orders: pg.Pool;
  readonly #turns = new Map<string, Promise<void>>();
  /** Those that are at work now. */
  readonly underWay = new Set<Fault>();
  /** How many of each kind had their effect. */
  readonly done = new Map<FaultKind, number>();
  /** Workflows that were terminated or deleted. */
  workflows = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#temporal = new TemporalHand(stack.address("temporal"));
    this.#orders = new pg.Pool({
      connectionString: stack.databaseUrl("orders", "postgres"),
      max: 1,
      connectionTimeoutMillis: 1_000,
      query_timeout: 1_000,
    });
    // The server is one of the victims.
    this.#orders.on("error", () => undefined);
  }

  /** Does all of them, each at its time. @throws when a component does not come back */
  async wreak(faults: readonly Fault[], signal: AbortSignal): Promise<void> {
    const start = Date.now();
    try {
      await Promise.all(
        faults.map(async (fault) => {
          await delay(Math.max(0, fault.atMs - (Date.now() - start)), undefined, { signal });
          await this.#inTurn(fault, signal);
        }),
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#temporal.close();
      await this.#orders.end();
    }
  }

  /** A component that takes long to end, or to come back, is left alone meanwhile. */
  #inTurn(fault: Fault, signal: AbortSignal): Promise<void> {
    const whose = fault.kind === "terminate" || fault.kind === "delete" ? "workflows" : fault.victim;
    const before = this.#turns.get(whose) ?? Promise.resolve();
    const mine = before.then(() => this.#suffer(fault, signal));
    this.#turns.set(whose, mine);
    return mine;
  }

  async #suffer(fault: Fault, signal: AbortSignal): Promise<void> {
    this.underWay.add(fault);
    try {
      await this.#do(fault, signal);
      this.done.set(fault.kind, (this.done.get(fault.kind) ?? 0) + 1);
    } finally {
      this.underWay.delete(fault);
    }
  }

  async #do({ kind, victim, forMs }: Fault, signal: AbortSignal): Promise<void> {
    switch (kind) {
      case "kill":
        return this.#away(victim, "SIGKILL", forMs);
      case "outage":
        return this.#away(victim, victim === "postgres" ? "SIGINT" : "SIGTERM", forMs);
      case "crash":
        return this.#away(victim, "SIGQUIT", forMs);
      case "freeze":
        return this.#freeze(victim, forMs);
      case "terminate":
      case "delete":
        return this.#hunt(kind, forMs, signal);
    }
  }

  /** Always brought back, also when the campaign is given up: then the stack ends as a whole. */
  async #away(victim: Component, sign: NodeJS.Signals, forMs: number): Promise<void> {
    await this.#stack.takeDown(victim, sign);
    await delay(forMs);
    await this.#stack.restart(victim);
  }

  /** A frozen server includes the processes that it has for its clients. */
  async #freeze(victim: Component, forMs: number): Promise<void> {
    const pid = this.#stack.pid(victim);
    if (pid === undefined) return;
    const frozen = [pid, ...(victim === "postgres" ? await childrenOf(pid) : [])];
    for (const each of frozen) tell(each, "SIGSTOP");
    await delay(forMs);
    for (const each of frozen.reverse()) tell(each, "SIGCONT");
  }

  async #hunt(kind: "terminate" | "delete", forMs: number, signal: AbortSignal): Promise<void> {
    const end = Date.now() + forMs;
    const hit = new Set<string>();
    while (Date.now() < end && !signal.aborted) {
      const running = await this.#running().catch(() => []);
      const fresh = running.filter((id) => !hit.has(id)).slice(0, huntAtOnce);
      for (const id of fresh) {
        hit.add(id);
        if (await this.#temporal[kind](id)) this.workflows += 1;
      }
      await delay(huntEveryMs);
    }
  }

  /** Episodes that orders have not left yet. */
  async #running(): Promise<string[]> {
    const { rows } = await this.#orders.query<{ id: string }>(
      `select distinct o.episode_id as id from customer_order o join episode e using (episode_id)
      where e.ack_time is not null`,
    );
    return rows.map(({ id }) => id);
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await run("pgrep", ["-P", String(pid)], { timeoutMs: 5_000 }).catch(() => "");
  return text.split("\n").map(Number).filter(Boolean);
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
