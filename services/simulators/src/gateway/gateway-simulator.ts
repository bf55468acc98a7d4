import { setTimeout as delay } from "node:timers/promises";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import type { Database } from "#platform/database/database.ts";
import { behaviourOf } from "./card-behaviour.ts";
import {
  KeyReusedError,
  type RecordRow,
  SimulatedFailure,
  type SimulatorCall,
  type SimulatorRecord,
} from "./gateway-operation.ts";
import { GatewayRecordRepository, type Plan, type RecordPage } from "./gateway-record.repository.ts";

/** What the simulated gateway does with the void of a part: it gives it free now, or with the last operation of the authorization. */
export type PartVoids = "now" | "deferred";

/** How often the simulated gateway captures an authorization. */
export type Captures = "many" | "once";

/** How the simulated gateway is; times are milliseconds. */
export interface SimulatorSettings {
  /** How long `tok_slow` takes. */
  readonly slowMs: number;
  /** How long every call takes before it has any effect. */
  readonly latencyMs: number;
  readonly partVoid: PartVoids;
  /** Absent: many times. */
  readonly captures?: Captures;
}

/** What came of a call. `lost`: it may have its effect, but the answer did not come; `reused`: its key is another call's. */
export type SimulatorAnswer =
  | { readonly state: "decided" | "processing"; readonly record: SimulatorRecord }
  | { readonly state: "lost" | "reused" | "unknown" };

/**
 * A card gateway that exists only here. What it does is durable; the card's token decides how it behaves (see {@link behaviourOf}).
 */
export class GatewaySimulator {
  readonly #settings: SimulatorSettings;
  readonly #repository: GatewayRecordRepository;
  readonly #authorizations: Batcher<SimulatorCall, SimulatorRecord>;
  readonly #changes: Batcher<SimulatorCall, SimulatorRecord>;
  readonly #questions: Batcher<string, SimulatorRecord | undefined>;
  /** Calls that failed, by key, for cards that fail a few times. A key is forgotten when it works. */
  readonly #failures = new Map<string, number>();

  constructor(database: Database, settings: SimulatorSettings) {
    const repository = new GatewayRecordRepository(database, {
      planOf: (call, cardToken) => this.#plan(call, cardToken),
      defers: settings.partVoid === "deferred",
      once: settings.captures === "once",
    });
    this.#settings = settings;
    this.#repository = repository;
    this.#authorizations = new Batcher({
      name: "simulator authorizations",
      keyOf: (call) => call.key,
      run: (calls) => repository.authorize(calls),
    });
    this.#changes = new Batcher({ name: "simulator changes", run: (calls) => repository.change(calls) });
    this.#questions = new Batcher({ name: "simulator questions", run: (keys) => repository.find(keys) });
  }

  get partVoid(): PartVoids {
    return this.#settings.partVoid;
  }

  get captures(): Captures {
    return this.#settings.captures ?? "many";
  }

  /** Does what is wanted. @throws what keeps the simulator from its memory; then it may have its effect */
  async execute(call: SimulatorCall, options: SubmitOptions = {}): Promise<SimulatorAnswer> {
    const { latencyMs } = this.#settings;
    if (latencyMs > 0) await delay(latencyMs, undefined, options);
    return await this.#perform(call, options);
  }

  /** What became of these keys. */
  async find(keys: readonly string[], options: SubmitOptions = {}): Promise<SimulatorAnswer[]> {
    const records = await Promise.all(keys.map((key) => this.#questions.submit(key, options)));
    return records.map((record) => (record ? toAnswer(record) : { state: "unknown" }));
  }

  /** What was done and refused, in the order of keys. */
  list(page: RecordPage): Promise<RecordRow[]> {
    return this.#repository.list(page);
  }

  /** Takes nothing more, and ends once all is answered that was taken. */
  async drain(): Promise<void> {
    await Promise.all([this.#authorizations.drain(), this.#changes.drain(), this.#questions.drain()]);
  }

  async #perform(call: SimulatorCall, options: SubmitOptions): Promise<SimulatorAnswer> {
    const batcher = call.kind === "authorize" ? this.#authorizations : this.#changes;
    try {
      const record = await batcher.submit(call, options);
      if (record.fresh && behaviourOf(record.cardToken, call.kind).losesAnswer) return { state: "lost" };
      return toAnswer(record);
    } catch (error) {
      if (error instanceof KeyReusedError) return { state: "reused" };
      if (error instanceof SimulatedFailure) return { state: "lost" };
      throw error;
    }
  }

  #plan(call: SimulatorCall, cardToken: string): Plan | Error {
    const { declineCode, failures, slow } = behaviourOf(cardToken, call.kind);
    if (failures > 0) {
      const before = this.#failures.get(call.key) ?? 0;
      if (before < failures) {
        if (Number.isFinite(failures)) this.#failures.set(call.key, before + 1);
        return new SimulatedFailure("the gateway answered 500");
      }
      this.#failures.delete(call.key);
    }
    return { declineCode, delayMs: slow ? this.#settings.slowMs : 0 };
  }
}

function toAnswer(record: SimulatorRecord): SimulatorAnswer {
  return { state: record.remainingMs > 0 ? "processing" : "decided", record };
}
