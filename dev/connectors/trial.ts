import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type {
  GatewayConnectorService,
  GetCapabilitiesResponse,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import {
  type GatewayOperation,
  GatewayOperationKind,
  GatewayOperationSchema,
  type GatewayOutcome,
} from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";

/** A promise of the contract that a connector does not keep; the message is one sentence. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

/** What a connector is tried with. */
export interface TrialOptions {
  readonly connector: Client<typeof GatewayConnectorService>;
  /** Cards of the gateway's sandbox: one that it approves, and one that it declines. */
  readonly cards: { readonly approved: string; readonly declined: string };
  readonly currency: string;
  /** Of an authorization, in minor units; it is divided by ten. */
  readonly amount: bigint;
  /** For one call. */
  readonly timeoutMs?: number;
  /** How long the gateway may take for a decision. */
  readonly patienceMs?: number;
}

/** A capture, void or refund. */
export type ChangeKind = "capture" | "void" | "refund";

const kinds = {
  capture: GatewayOperationKind.CAPTURE,
  void: GatewayOperationKind.VOID,
  refund: GatewayOperationKind.REFUND,
} as const satisfies Record<ChangeKind, GatewayOperationKind>;

type Result = NonNullable<GatewayOutcome["result"]["case"]>;
const definite: ReadonlySet<string> = new Set<Result>(["approved", "declined", "requiresAction", "keyReused"]);
const pauseMs = 100;

/** An authorization that is approved. */
export interface Held {
  readonly operation: GatewayOperation;
  readonly reference: string;
}

/** Asks a connector as payments does, and remembers all that it did. */
export class Trial {
  readonly #options: TrialOptions;
  readonly #timeoutMs: number;
  readonly #patienceMs: number;
  readonly capabilities: GetCapabilitiesResponse;
  /** What was approved, by key. */
  readonly done = new Map<string, { operation: GatewayOperation; authorizationKey: string }>();
  readonly #keys = new Map<string, string>();

  constructor(options: TrialOptions, capabilities: GetCapabilitiesResponse) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#patienceMs = options.patienceMs ?? 60_000;
    this.capabilities = capabilities;
  }

  get connector(): TrialOptions["connector"] {
    return this.#options.connector;
  }

  /** So many tenths of an authorization. */
  tenths(count: number): bigint {
    return (this.#options.amount / 10n) * BigInt(count);
  }

  authorization(
    card: keyof TrialOptions["cards"] = "approved",
    amount = { currency: this.#options.currency, amount: this.tenths(10) },
  ): GatewayOperation {
    const kind = GatewayOperationKind.AUTHORIZE;
    return create(GatewayOperationSchema, { key: randomUUID(), kind, cardToken: this.#options.cards[card], amount });
  }

  change(kind: ChangeKind, { reference }: Pick<Held, "reference">, tenths: number, final = false): GatewayOperation {
    const amount = { currency: this.#options.currency, amount: this.tenths(tenths) };
    return create(GatewayOperationSchema, { key: randomUUID(), kind: kinds[kind], reference, amount, final });
  }

  /** Sends operations once, as they are. */
  async execute(operations: readonly GatewayOperation[]): Promise<readonly GatewayOutcome[]> {
    const options = { timeoutMs: this.#timeoutMs };
    const { outcomes } = await this.connector.executeOperations({ operations: [...operations] }, options);
    return this.#whole(operations, outcomes);
  }

  async find(operations: readonly GatewayOperation[]): Promise<readonly GatewayOutcome[]> {
    const options = { timeoutMs: this.#timeoutMs };
    const { outcomes } = await this.connector.findOperations({ operations: [...operations] }, options);
    return this.#whole(operations, outcomes);
  }

  /** Sends an operation and loses what is answered. */
  async lose(operation: GatewayOperation): Promise<void> {
    await this.execute([operation]).catch(() => undefined);
  }

  /** Brings an operation to its definite outcome as payments would: it asks before it sends again. */
  async settle(operation: GatewayOperation, sent = false): Promise<GatewayOutcome["result"]> {
    const until = performance.now() + this.#patienceMs;
    for (let ask = sent; performance.now() < until; ask = true) {
      const found = ask ? await this.#outcomeOf(() => this.find([operation])) : undefined;
      if (found && definite.has(String(found.case))) return this.#note(operation, found);
      if (!ask || found?.case === "notExecuted") {
        const result = await this.#outcomeOf(() => this.execute([operation]));
        if (result && definite.has(String(result.case))) return this.#note(operation, result);
      }
      await delay(pauseMs);
    }
    throw new BrokenPromise(`${nameOf(operation)} comes to no definite outcome within ${this.#patienceMs} ms`);
  }

  /** @throws BrokenPromise when it comes to something else */
  async expect(operation: GatewayOperation, wanted: Result, why: string): Promise<GatewayOutcome["result"]> {
    const result = await this.settle(operation);
    if (result.case !== wanted)
      throw new BrokenPromise(`${why}: ${nameOf(operation)} is ${said(result)}, not ${wanted}`);
    return result;
  }

  /** An authorization that is approved. */
  async held(): Promise<Held> {
    const operation = this.authorization();
    const result = await this.expect(operation, "approved", "the card that is to be approved");
    return { operation, reference: referenceOf(result) };
  }

  /** Notes what a definite outcome did. */
  #note(operation: GatewayOperation, result: GatewayOutcome["result"]): GatewayOutcome["result"] {
    if (result.case !== "approved") return result;
    const isAuthorization = operation.kind === GatewayOperationKind.AUTHORIZE;
    if (isAuthorization) this.#keys.set(result.value.reference, operation.key);
    const authorizationKey = isAuthorization ? operation.key : (this.#keys.get(operation.reference) ?? "");
    this.done.set(operation.key, { operation, authorizationKey });
    return result;
  }

  /** Errors leave open what happened; the next question tells. */
  async #outcomeOf(ask: () => Promise<readonly GatewayOutcome[]>): Promise<GatewayOutcome["result"] | undefined> {
    try {
      return (await ask())[0]?.result;
    } catch (error) {
      if (error instanceof BrokenPromise) throw error;
      return undefined;
    }
  }

  #whole(operations: readonly GatewayOperation[], outcomes: readonly GatewayOutcome[]): readonly GatewayOutcome[] {
    if (outcomes.length === operations.length) return outcomes;
    throw new BrokenPromise(`${outcomes.length} outcomes were answered for ${operations.length} operations`);
  }
}

/** What the gateway calls what it approved. */
export function referenceOf(result: GatewayOutcome["result"]): string {
  return result.case === "approved" ? result.value.reference : "";
}

/** An outcome for people. */
export function said(result: GatewayOutcome["result"] | undefined): string {
  if (result?.case === "declined") return `declined (${result.value.code})`;
  return result?.case ?? "nothing";
}

/** An operation for people. */
export function nameOf({ kind, amount, key }: GatewayOperation): string {
  return `${GatewayOperationKind[kind].toLowerCase()} ${amount?.amount} ${amount?.currency} with key ${key}`;
}

/** @throws BrokenPromise */
export function require(kept: boolean, sentence: string): asserts kept {
  if (!kept) throw new BrokenPromise(sentence);
}
