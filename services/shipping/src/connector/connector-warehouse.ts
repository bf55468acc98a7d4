import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import {
  type PackingOrder as PackingOrderMessage,
  PackingOrderSchema,
  type PackingOutcome,
  type WarehouseConnectorService,
} from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { Breaker } from "#platform/grpc/breaker.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import { toAddress } from "../api/shipment-proto.ts";
import type { PackingOrder, PackingState, Warehouse } from "../packing/warehouse.ts";

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
