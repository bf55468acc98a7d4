import { setTimeout as delay } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import type { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import type { GatewayOutcome } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { Batcher } from "#platform/batch/batcher.ts";
import { Relay } from "#platform/batch/relay.ts";
import { answersToAll, sendTogether } from "#platform/batch/send-together.ts";
import { detached } from "#platform/context.ts";
import { Breaker, BreakerOpenError, NoAnswerError } from "#platform/grpc/breaker.ts";
import type { Logger } from "#platform/log/logger.ts";
import { activeTraceParent } from "#platform/trace/spans.ts";
import {
  type Gateway,
  GatewayAmbiguousError,
  type GatewayAnswer,
  type GatewayCall,
  type GatewayOperation,
  GatewayUnavailableError,
} from "./gateway.ts";
import { type GatewayAbilities, refusalOf, toAbilities } from "./gateway-abilities.ts";
import { toAnswer, toProtoOperation } from "./gateway-proto.ts";
import { OperationPace } from "./operation-pace.ts";

/** How a gateway is reached. */
export interface ConnectorGatewayOptions {
  readonly connector: Client<typeof GatewayConnectorService>;
  /** For the log. */
  readonly address: string;
  /** For one call, in milliseconds. */
  readonly timeoutMs: number;
  /** Operations that the gateway has at the same time. */
  readonly inflight: number;
  /** Processes of the service, which share what the gateway takes in a second. */
  readonly replicas: number;
  readonly log: Pick<Logger, "warn" | "error">;
}

type Method = "executeOperations" | "findOperations";
type Calls = Readonly<Record<Method, Batcher<Sent, GatewayOutcome>>>;

/** An operation with the trace context of whoever wants it; empty when it is not kept. */
interface Sent {
  readonly operation: GatewayOperation;
  readonly traceparent: string;
}

/** How often the connector is asked what it can, in milliseconds. */
const askEveryMs = 60_000;
/** Calls at the same time, at least: a slow one must not hold up all. */
const fewestLanes = 2;

/** A card gateway behind its connector, a process of whoever has the gateway. What goes there at the same time goes together, as far as the connector takes it; nothing goes while it is away. */
export class ConnectorGateway implements Gateway {
  readonly #options: ConnectorGatewayOptions;
  readonly #asking: Relay;
  readonly #pace = new OperationPace();
  readonly #breaker: Breaker;
  #abilities: GatewayAbilities | undefined;
  #calls: Calls | undefined;
  #finding: Promise<GatewayAbilities> | undefined;

  constructor(options: ConnectorGatewayOptions) {
    const { log } = options;
    this.#options = options;
    this.#breaker = new Breaker({ name: "gateway", log });
    const sweep = async () => {
      // It may start later than we do. Whoever needs to know asks again.
      await this.#ask().catch((err: unknown) => log.warn("the gateway's connector does not say what it can", { err }));
      return 0;
    };
    this.#asking = new Relay({ name: "asking what the gateway can", everyMs: askEveryMs, log, sweep });
  }

  /** Asks what the gateway can, now and every minute. */
  start(): void {
    this.#asking.start();
  }

  /** Asks no more, and ends once every call is answered. */
  async stop(): Promise<void> {
    await this.#asking.stop();
    await Promise.all(Object.values(this.#calls ?? {}).map((batcher) => batcher.drain()));
  }

  get inTurn(): boolean {
    return this.#abilities?.inTurn ?? true;
  }

  async capturesOnce(): Promise<boolean> {
    try {
      return (await this.#known()).capturesOnce;
    } catch {
      return true;
    }
  }

  refusal(operation: GatewayOperation): string | undefined {
    return this.#abilities && refusalOf(this.#abilities, operation);
  }

  async execute(operation: GatewayOperation, call: GatewayCall): Promise<GatewayAnswer> {
    const { unusable, keyLifetimeMs } = await this.#known();
    if (unusable !== undefined) throw new GatewayUnavailableError(`payments cannot work with the gateway: ${unusable}`);
    if (Date.now() - operation.createTime.getTime() > keyLifetimeMs) {
      throw new GatewayUnavailableError("the operation is older than the gateway knows keys: it is not sent any more");
    }
    const answer = toAnswer(operation, await this.#submit("executeOperations", operation, call));
    if (!answer) throw new GatewayUnavailableError("the gateway's connector did not pass the operation on");
    return answer;
  }

  async find(operation: GatewayOperation, call: GatewayCall): Promise<GatewayAnswer | undefined> {
    await this.#known();
    return toAnswer(operation, await this.#submit("findOperations", operation, call));
  }

  async #submit(method: Method, operation: GatewayOperation, call: GatewayCall): Promise<GatewayOutcome> {
    const calls = this.#calls;
    if (!calls) throw new GatewayUnavailableError("the gateway's connector has not said what it can");
    try {
      return await calls[method].submit({ operation, traceparent: activeTraceParent() ?? "" }, call);
    } catch (cause) {
      if (cause instanceof GatewayAmbiguousError || cause instanceof GatewayUnavailableError) throw cause;
      // It was given up while it waited to be sent.
      throw new GatewayUnavailableError("the operation was not sent in time", { cause });
    }
  }

  /** @throws GatewayUnavailableError when nobody says it */
  async #known(): Promise<GatewayAbilities> {
    try {
      return this.#abilities ?? (await this.#ask());
    } catch (cause) {
      const { address } = this.#options;
      throw new GatewayUnavailableError(`the gateway's connector at ${address} does not say what it can`, { cause });
    }
  }

  /** Those who want to know at the same time ask once. */
  #ask(): Promise<GatewayAbilities> {
    const { connector, timeoutMs } = this.#options;
    const ask = async () => {
      const said = await this.#breaker.run(() => connector.getCapabilities({}, { timeoutMs }), timeoutMs);
      const abilities = toAbilities(said);
      this.#use(abilities);
      return abilities;
    };
    this.#finding ??= detached(ask).finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  #use(abilities: GatewayAbilities): void {
    const { address, log } = this.#options;
    const { unusable, maxOperations } = abilities;
    if (unusable !== undefined)
      log.error("payments cannot work with the gateway", { address, "error.message": unusable });
    // What waits in those of before is answered by them.
    if (maxOperations !== this.#abilities?.maxOperations) this.#calls = this.#callsOf(maxOperations);
    this.#abilities = abilities;
  }

  #callsOf(maxEntries: number): Calls {
    const lanes = Math.max(fewestLanes, Math.ceil(this.#options.inflight / maxEntries));
    const callsOf = (name: string, method: Method) =>
      new Batcher<Sent, GatewayOutcome>({
        name,
        lanes,
        maxEntries,
        keyOf: ({ operation }) => operation.key,
        run: (sent) => this.#send(method, sent),
      });
    return {
      executeOperations: callsOf("gateway operations", "executeOperations"),
      findOperations: callsOf("gateway questions", "findOperations"),
    };
  }

  async #send(method: Method, operations: readonly Sent[]): Promise<(GatewayOutcome | Error)[]> {
    const { timeoutMs, replicas } = this.#options;
    const until = performance.now() + timeoutMs;
    const perSecond = (this.#abilities?.maxOperationsPerSecond ?? 0) / replicas;
    const waitMs = this.#pace.take(operations.length, { perSecond, mostMs: timeoutMs / 2 });
    if (waitMs === undefined) {
      return operations.map(() => new GatewayUnavailableError("more operations wait than the gateway takes in time"));
    }
    if (waitMs > 0) await delay(waitMs);
    return await this.#call(method, operations, until);
  }

  async #call(method: Method, operations: readonly Sent[], until: number): Promise<(GatewayOutcome | Error)[]> {
    const answers = await sendTogether(operations, (some) => {
      const mostWaitMs = (until - performance.now()) / 2;
      return this.#breaker.run(() => this.#outcomesOf(method, some, until), mostWaitMs);
    });
    return answers.map((cause) => {
      if (cause instanceof BreakerOpenError) return new GatewayUnavailableError(cause.message, { cause });
      if (!(cause instanceof ConnectError)) return cause;
      return new GatewayAmbiguousError(`the gateway's answer is not known: ${cause.rawMessage}`, { cause });
    });
  }

  /** @throws NoAnswerError what is unknown of each of several operations is so for the gateway's sake, not for theirs */
  async #outcomesOf(method: Method, operations: readonly Sent[], until: number): Promise<GatewayOutcome[]> {
    const timeoutMs = Math.max(1, Math.ceil(until - performance.now()));
    const { outcomes } = await this.#options.connector[method](toRequest(method, operations), { timeoutMs });
    if (outcomes.length > 1 && outcomes.every(({ result }) => result.case === "undetermined")) {
      throw new NoAnswerError(`the connector does not know what became of any of ${outcomes.length} operations`);
    }
    return answersToAll(operations, outcomes);
  }
}

function toRequest(method: Method, sent: readonly Sent[]) {
  const operations = sent.map(({ operation }) => toProtoOperation(operation));
  if (method === "findOperations" || sent.every(({ traceparent }) => traceparent === "")) return { operations };
  return { operations, traceparents: sent.map(({ traceparent }) => traceparent) };
}
