import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { run } from "../../deploy/command/run.ts";
import type { Member } from "../stack/layout.ts";
import type { Stream, Toxic } from "../stack/network.ts";
import type { Stack } from "../stack/stack.ts";
import { type Fault, type FaultKind, linkOf } from "./faults.ts";
import { TemporalHand } from "./temporal-hand.ts";

/** How often episodes that run are looked for, to be ended. */
const huntEveryMs = 40;
/** Episodes that are ended in one look; others come to their end, as in life. */
const huntAtOnce = 3;

/** What is done to what passes a link. */
interface Disturbance {
  readonly toxic: (by: number) => Toxic;
  readonly streams: readonly Stream[];
}

const vanishes = (): Toxic => ({ type: "timeout", attributes: { timeout: 0 } });
const both = ["upstream", "downstream"] as const;

const disturbances: Readonly<Record<"slow" | "cut" | "silence" | "deaf", Disturbance>> = {
  slow: {
    toxic: (by) => ({ type: "latency", attributes: { latency: by, jitter: Math.round(by / 2) } }),
    streams: both,
  },
  cut: { toxic: () => ({ type: "reset_peer", attributes: { timeout: 0 } }), streams: both },
  silence: { toxic: vanishes, streams: both },
  deaf: { toxic: vanishes, streams: ["downstream"] },
};

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

  /** Does all of them, each at its time; when the signal fires no more begin. @throws when a component does not come back */
  async wreak(faults: readonly Fault[], signal: AbortSignal): Promise<void> {
    const start = Date.now();
    const all = faults.map(async (fault) => {
      await delay(Math.max(0, fault.atMs - (Date.now() - start)), undefined, { signal });
      await this.#inTurn(fault, signal);
    });
    try {
      await Promise.all(all);
    } catch (error) {
      if (!signal.aborted) throw error;
      // Those that have begun come to their end.
      for (const fault of await Promise.allSettled(all)) {
        if (fault.status === "rejected" && fault.reason?.name !== "AbortError") throw fault.reason;
      }
    } finally {
      this.#temporal.close();
      // Not waited for: a connection to a server that was frozen, or is away, may take long to end.
      void this.#orders.end().catch(() => undefined);
    }
  }

  /** A component that takes long to end, or to come back, is left alone meanwhile. */
  #inTurn(fault: Fault, signal: AbortSignal): Promise<void> {
    const before = Promise.all(fault.takes.map((name) => this.#turns.get(name)));
    const mine = before.then(() => (signal.aborted ? undefined : this.#suffer(fault, signal)));
    for (const name of fault.takes) this.#turns.set(name, mine);
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

  async #do(fault: Fault, signal: AbortSignal): Promise<void> {
    const { kind, victim, takes, forMs } = fault;
    const members = takes as readonly Member[];
    switch (kind) {
      case "kill":
        return this.#away(members, "SIGKILL", forMs);
      case "leave":
      case "outage":
        return this.#away(members, victim === "postgres" ? "SIGINT" : "SIGTERM", forMs);
      case "crash":
        return this.#away(members, "SIGQUIT", forMs);
      case "freeze":
        return this.#freeze(victim as Member, forMs);
      case "terminate":
      case "delete":
        return this.#hunt(kind, forMs, signal);
      case "clock":
        return this.#mistime(victim as Member, fault);
      case "slow":
      case "cut":
      case "silence":
      case "deaf":
        return this.#disturb(fault, disturbances[kind]);
    }
  }

  /** Always brought back, also when the campaign is stopped. */
  async #away(victims: readonly Member[], sign: NodeJS.Signals, forMs: number): Promise<void> {
    await Promise.all(victims.map((victim) => this.#stack.takeDown(victim, sign)));
    await delay(forMs);
    await Promise.all(victims.map((victim) => this.#stack.restart(victim)));
  }

  async #mistime(victim: Member, { forMs, by }: Fault): Promise<void> {
    this.#stack.clocks.move(victim, by);
    await delay(forMs);
    this.#stack.clocks.move(victim, 0);
  }

  async #disturb(fault: Fault, { toxic, streams }: Disturbance): Promise<void> {
    const end = await this.#stack.network.disturb(linkOf(fault), toxic(fault.by), streams);
    await delay(fault.forMs);
    await end();
  }

  /** A frozen server includes the processes that it has for its clients. */
  async #freeze(victim: Member, forMs: number): Promise<void> {
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
