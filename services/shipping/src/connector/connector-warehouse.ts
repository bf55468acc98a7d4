import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type CallOffOutcome,
  type PackingOrder as PackingOrderMessage,
  PackingOrderSchema,
  type PackingOutcome,
  type WarehouseConnectorService,
} from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { Breaker } from "#platform/grpc/breaker.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import { toAddress } from "../api/shipment-proto.ts";
import type { CallOffState, PackingOrder, PackingState, Warehouse } from "../packing/warehouse.ts";

/** How a warehouse is reached. */
export interface ConnectorWarehouseOptions {
  readonly connector: Client<typeof WarehouseConnectorService>;
  /** For one call, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Pick<Logger, "warn">;
}

/** When a warehouse is asked again that does not say when, in milliseconds. */
const soonMs = 1_000;

/** A warehouse behind its connector, a process of whoever has the warehouse. It is not asked while it is away. */
export class ConnectorWarehouse implements Warehouse {
  readonly #options: ConnectorWarehouseOptions;
  readonly #breaker: Breaker;

  constructor(options: ConnectorWarehouseOptions) {
    this.#options = options;
    this.#breaker = new Breaker({ name: "warehouse", log: options.log });
  }

  async pack(orders: readonly PackingOrder[], signal: AbortSignal): Promise<PackingState[]> {
    const { connector, timeoutMs } = this.#options;
    const request = { shipments: orders.map(toMessage) };
    const { outcomes } = await this.#breaker.run(
      () => connector.packShipments(request, { signal, timeoutMs }),
      timeoutMs,
    );
    return outcomes.map(toState);
  }

  async callOff(shipmentIds: readonly string[], signal: AbortSignal): Promise<CallOffState[]> {
    const { timeoutMs } = this.#options;
    return await this.#breaker.run(() => this.#callOff(shipmentIds, signal), timeoutMs);
  }

  /** A warehouse that cannot be told says so: that is an answer, and nobody is away. */
  async #callOff(shipmentIds: readonly string[], signal: AbortSignal): Promise<CallOffState[]> {
    const { connector, timeoutMs } = this.#options;
    try {
      const { outcomes } = await connector.cancelShipments({ keys: [...shipmentIds] }, { signal, timeoutMs });
      return outcomes.map(toCallOffState);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      return shipmentIds.map(() => "unheard");
    }
  }
}

function toMessage({ shipmentId: key, orderId, locationId, lines, address }: PackingOrder): PackingOrderMessage {
  return whole(PackingOrderSchema, {
    key,
    orderId,
    locationId,
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
    recipient: toAddress(address),
  });
}

function toState({ result }: PackingOutcome): PackingState {
  switch (result.case) {
    case "packed":
      return { kind: "packed" };
    case "failed":
      return { kind: "failed", code: result.value.code, message: result.value.message };
    default: {
      const askAfter = result.value?.askAfter;
      return { kind: "packing", askAgainMs: askAfter ? Math.max(0, durationMs(askAfter)) : soonMs };
    }
  }
}

function toCallOffState({ result }: CallOffOutcome): CallOffState {
  switch (result.case) {
    case "calledOff":
      return "called_off";
    case "gone":
      return "gone";
    default:
      return "undecided";
  }
}
