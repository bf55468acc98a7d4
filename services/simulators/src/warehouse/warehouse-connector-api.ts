import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  CallOffOutcomeSchema,
  type CancelShipmentsRequest,
  CancelShipmentsResponseSchema,
  type PackingOrder,
  type PackingOutcome,
  PackingOutcomeSchema,
  type PackShipmentsRequest,
  PackShipmentsResponseSchema,
  type WarehouseConnectorService,
} from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { Treated } from "../parcel/parcel-behaviour.ts";
import type { PackingState, WarehouseSimulator } from "./warehouse-simulator.ts";

/** The simulated warehouse as shipping calls it. */
export class WarehouseConnectorApi implements ServiceImpl<typeof WarehouseConnectorService> {
  readonly #warehouse: WarehouseSimulator;

  constructor(warehouse: WarehouseSimulator) {
    this.#warehouse = warehouse;
  }

  async packShipments({ shipments }: PackShipmentsRequest) {
    const states = await this.#warehouse.pack(shipments.map(toTreated));
    return whole(PackShipmentsResponseSchema, { outcomes: states.map(toOutcome) });
  }

  async cancelShipments({ keys }: CancelShipmentsRequest) {
    await this.#warehouse.callOff(keys);
    const outcomes = keys.map(() => whole(CallOffOutcomeSchema, { result: { case: "calledOff", value: {} } }));
    return whole(CancelShipmentsResponseSchema, { outcomes });
  }
}

function toTreated({ key, locationId, recipient }: PackingOrder): Treated {
  return { key, locationId, postalCode: recipient?.postalCode ?? "" };
}

function toOutcome(state: PackingState): PackingOutcome {
  switch (state.kind) {
    case "packed":
      return whole(PackingOutcomeSchema, { result: { case: "packed", value: {} } });
    case "packing":
      return whole(PackingOutcomeSchema, {
        result: { case: "packing", value: { askAfter: durationFromMs(state.askAgainMs) } },
      });
    case "failed": {
      const { code, message } = state;
      return whole(PackingOutcomeSchema, { result: { case: "failed", value: { code, message } } });
    }
  }
}
