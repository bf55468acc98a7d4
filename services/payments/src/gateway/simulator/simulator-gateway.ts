import { setTimeout as delay } from "node:timers/promises";
import { Batcher } from "#platform/batch/batcher.ts";
import { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";
import {
  type Gateway,
  GatewayAmbiguousError,
  type GatewayAnswer,
  type GatewayAuthorization,
  type GatewayCall,
  type GatewayChange,
  GatewayKeyReusedError,
} from "../gateway.ts";
import { behaviourOf } from "./card-behaviour.ts";
import { type Plan, type SimulatorCall, type SimulatorRecord, SimulatorRepository } from "./simulator.repository.ts";

/** How slow the simulated gateway is, in milliseconds. */
export interface SimulatorSettings {
  /** How long `tok_slow` takes. */
  readonly slowMs: number;
  /** How long every call takes before it has any effect. */
  readonly latencyMs: number;
}

/** How the simulated gateway is opened. */
export interface SimulatorOptions extends SimulatorSettings {
  /** The database that it remembers in what it did. */
  readonly url: string | Secret;
  /** As in `DatabaseOptions`. */
  readonly pooled?: boolean;
  readonly poolMax: number;
  readonly log: Pick<Logger, "warn">;
}

/**
 * A card gateway that exists only here. What it does is durable in the schema `simulator`, in transactions of its own, as
 * what a real gateway does would be; the card's token decides how it behaves (see {@link behaviourOf}).
 */
export class SimulatorGateway implements Gateway {
  readonly #database: Database;
  readonly #settings: SimulatorSettings;
  readonly #authorizations: Batcher<SimulatorCall, SimulatorRecord>;
  readonly #changes: Batcher<SimulatorCall, SimulatorRecord>;
  readonly #questions: Batcher<string, SimulatorRecord | undefined>;
  /** Calls that failed, by key, for cards that fail a few times. A key is forgotten when it works. */
  readonly #failures = new Map<string, number>();

  /** Opens it with connections of its own. */
  static async open({ url, pooled = false, poolMax, log, ...settings }: SimulatorOptions): Promise<SimulatorGateway> {
    const database = await Database.open({ url, name: "payments-simulator", entities: [], pooled, poolMax, log });
    return new SimulatorGateway(database, settings);
  }

  private constructor(database: Database, settings: SimulatorSettings) {
    this.#database = database;
    const repository = new SimulatorRepository(database, (call, cardToken) => this.#plan(call, cardToken));
    this.#settings = settings;
    this.#authorizations = new Batcher({
      name: "simulator authorizations",
      keyOf: (call) => call.key,
      run: (calls) => repository.authorize(calls),
    });
    this.#changes = new Batcher({ name: "simulator changes", run: (calls) => repository.change(calls) });
    this.#questions = new Batcher({ name: "simulator questions", run: (keys) => repository.find(keys) });
  }

  authorize(key: string, request: GatewayAuthorization, call: GatewayCall): Promise<GatewayAnswer> {
    const { cardToken: token, currency, amount } = request;
    const card = { token, currency };
    return this.#perform(this.#authorizations, { key, kind: "authorize", authorizationKey: key, card, amount }, call);
  }

  capture(key: string, request: GatewayChange, call: GatewayCall): Promise<GatewayAnswer> {
    return this.#perform(this.#changes, { key, kind: "capture", ...target(request) }, call);
  }

  void(key: string, request: GatewayChange, call: GatewayCall): Promise<GatewayAnswer> {
    return this.#perform(this.#changes, { key, kind: "void", ...target(request) }, call);
  }

  refund(key: string, request: GatewayChange, call: GatewayCall): Promise<GatewayAnswer> {
    return this.#perform(this.#changes, { key, kind: "refund", ...target(request) }, call);
  }

  async find(key: string, call: GatewayCall): Promise<GatewayAnswer | undefined> {
    const record = await ambiguousWhenThrown(() => this.#questions.submit(key, call));
    if (!record) return undefined;
    return record.remainingMs > 0 ? { state: "processing" } : toAnswer(record);
  }

  /** Ends its connections, once every call that was taken is answered. */
  async close(): Promise<void> {
    await Promise.all([this.#authorizations.drain(), this.#changes.drain(), this.#questions.drain()]);
    await this.#database.close();
  }

  async #perform(
    batcher: Batcher<SimulatorCall, SimulatorRecord>,
    given: SimulatorCall,
    call: GatewayCall,
  ): Promise<GatewayAnswer> {
    return await ambiguousWhenThrown(async () => {
      if (this.#settings.latencyMs > 0) await delay(this.#settings.latencyMs, undefined, call);
      const record = await batcher.submit(given, call);
      if (record.remainingMs > 0) await delay(record.remainingMs, undefined, call);
      if (record.fresh && behaviourOf(record.cardToken, given.kind).losesAnswer) {
        throw new GatewayAmbiguousError("the connection was lost before the answer came");
      }
      return toAnswer(record);
    });
  }

  #plan(call: SimulatorCall, cardToken: string): Plan | Error {
    const { declineCode, failures, slow } = behaviourOf(cardToken, call.kind);
    if (failures > 0) {
      const before = this.#failures.get(call.key) ?? 0;
      if (before < failures) {
        if (Number.isFinite(failures)) this.#failures.set(call.key, before + 1);
        return new GatewayAmbiguousError("the gateway answered 500");
      }
      this.#failures.delete(call.key);
    }
    return { declineCode, delayMs: slow ? this.#settings.slowMs : 0 };
  }
}

const referencePrefix = "sim_";

function target({ reference, amount }: GatewayChange): { authorizationKey: string; amount: bigint } {
  return { authorizationKey: reference.slice(referencePrefix.length), amount };
}

function toAnswer({ key, declineCode }: SimulatorRecord): GatewayAnswer {
  if (declineCode !== "") return { state: "declined", code: declineCode };
  return { state: "approved", reference: referencePrefix + key };
}

/** Whatever breaks on the way, a client of a gateway cannot tell whether the call arrived. */
async function ambiguousWhenThrown<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof GatewayAmbiguousError || cause instanceof GatewayKeyReusedError) throw cause;
    throw new GatewayAmbiguousError("the gateway's answer is not known", { cause });
  }
}
