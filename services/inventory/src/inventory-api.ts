import type { ServiceImpl } from "@connectrpc/connect";
import * as api from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { type AboutEntries, answerEach } from "#platform/batch/batch-call.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import { unknownSku } from "./errors.ts";
import type { StockRepository } from "./stock.repository.ts";
import { availableOf } from "./stock.ts";
import {
  fromBackOrder,
  fromLevel,
  fromMovement,
  fromReservation,
  toAdjust,
  toAmend,
  toCommit,
  toConfirm,
  toEndAmendment,
  toKey,
  toRelease,
  toReserve,
  toRestock,
} from "./stock-proto.ts";
import type { LevelPlace, StockReader } from "./stock-reader.ts";

/** Orders whose holds one call ends. */
const expiryBatch = 256;

/** What the service works with. */
export interface InventoryApiOptions {
  readonly stock: StockRepository;
  readonly reader: StockReader;
  readonly pageTokens: PageTokens;
  /** How long a hold lasts when its request does not say, in milliseconds. */
  readonly holdMs: number;
}

/**
 * `shop.inventory.v1.InventoryService`: maps, calls, maps back. The batch form calls the single form for each entry; the
 * repository puts them together again, with everybody else's.
 */
export class InventoryApi implements ServiceImpl<typeof api.InventoryService> {
  readonly #options: InventoryApiOptions;

  constructor(options: InventoryApiOptions) {
    this.#options = options;
  }

  async reserveStock(request: api.ReserveStockRequest) {
    const { stock, holdMs } = this.#options;
    // What becomes of it in case of a shortage is not part of what is set aside: whoever has waited may want to wait no longer.
    const key = toKey(api.ReserveStockRequestSchema, { ...request, shortagePolicy: ShortagePolicy.UNSPECIFIED });
    const reservation = await stock.change(key, toReserve(request, holdMs));
    return whole(api.ReserveStockResponseSchema, { reservation: fromReservation(reservation) });
  }

  async batchReserveStock(batch: api.BatchReserveStockRequest) {
    const outcomes = await answerEach(batch, about("ReserveStock"), (request) => this.reserveStock(request));
    return whole(api.BatchReserveStockResponseSchema, { outcomes });
  }

  async confirmReservation(request: api.ConfirmReservationRequest) {
    const key = toKey(api.ConfirmReservationRequestSchema, request);
    const reservation = await this.#options.stock.change(key, toConfirm(request));
    return whole(api.ConfirmReservationResponseSchema, { reservation: fromReservation(reservation) });
  }

  async batchConfirmReservations(batch: api.BatchConfirmReservationsRequest) {
    const outcomes = await answerEach(batch, about("ConfirmReservation"), (each) => this.confirmReservation(each));
    return whole(api.BatchConfirmReservationsResponseSchema, { outcomes });
  }

  async commitReservation(request: api.CommitReservationRequest) {
    const key = toKey(api.CommitReservationRequestSchema, request);
    const reservation = await this.#options.stock.change(key, toCommit(request));
    return whole(api.CommitReservationResponseSchema, { reservation: fromReservation(reservation) });
  }

  async batchCommitReservations(batch: api.BatchCommitReservationsRequest) {
    const outcomes = await answerEach(batch, about("CommitReservation"), (each) => this.commitReservation(each));
    return whole(api.BatchCommitReservationsResponseSchema, { outcomes });
  }

  async releaseReservation(request: api.ReleaseReservationRequest) {
    const key = toKey(api.ReleaseReservationRequestSchema, request);
    const reservation = await this.#options.stock.change(key, toRelease(request));
    return whole(api.ReleaseReservationResponseSchema, { reservation: fromReservation(reservation) });
  }

  async batchReleaseReservations(batch: api.BatchReleaseReservationsRequest) {
    const outcomes = await answerEach(batch, about("ReleaseReservation"), (each) => this.releaseReservation(each));
    return whole(api.BatchReleaseReservationsResponseSchema, { outcomes });
  }

  async batchAmendReservations(batch: api.BatchAmendReservationsRequest) {
    const outcomes = await answerEach(batch, about("AmendReservation"), async (request) => {
      const key = toKey(api.AmendReservationRequestSchema, { ...request, fixedLocationIds: [] });
      const reservation = await this.#options.stock.change(key, toAmend(request));
      return whole(api.AmendReservationResponseSchema, { reservation: fromReservation(reservation) });
    });
    return whole(api.BatchAmendReservationsResponseSchema, { outcomes });
  }

  async batchEndAmendments(batch: api.BatchEndAmendmentsRequest) {
    const outcomes = await answerEach(batch, about("EndAmendment"), async (request) => {
      const key = toKey(api.EndAmendmentRequestSchema, request);
      const reservation = await this.#options.stock.change(key, toEndAmendment(request));
      return whole(api.EndAmendmentResponseSchema, { reservation: fromReservation(reservation) });
    });
    return whole(api.BatchEndAmendmentsResponseSchema, { outcomes });
  }

  /** There is no request id: what has been given back is not given back again. */
  async expireHolds(_: api.ExpireHoldsRequest) {
    const orders = await this.#options.stock.expire(expiryBatch);
    return whole(api.ExpireHoldsResponseSchema, { orders, more: orders === expiryBatch });
  }

  async batchRestock(batch: api.BatchRestockRequest) {
    const outcomes = await answerEach(batch, about("Restock"), async (request) => {
      await this.#options.stock.change(toKey(api.RestockRequestSchema, request), toRestock(request));
      return whole(api.RestockResponseSchema, {});
    });
    return whole(api.BatchRestockResponseSchema, { outcomes });
  }

  async adjustStock(request: api.AdjustStockRequest) {
    const key = toKey(api.AdjustStockRequestSchema, request);
    const level = await this.#options.stock.adjust(key, toAdjust(request));
    return whole(api.AdjustStockResponseSchema, { level: fromLevel(level) });
  }

  async getStockLevel({ sku }: api.GetStockLevelRequest) {
    const { reader } = this.#options;
    const [levels, waiting] = await Promise.all([reader.levelsOf(sku), reader.waitingFor(sku)]);
    if (levels.length === 0) throw unknownSku(sku);
    const free = levels.reduce((sum, level) => sum + availableOf(level), -waiting);
    const available = free < 0n ? 0n : free;
    return whole(api.GetStockLevelResponseSchema, { levels: levels.map(fromLevel), available, waiting });
  }

  async listStockLevels(request: api.ListStockLevelsRequest) {
    const { sku, locationId } = request;
    const { reader, pageTokens } = this.#options;
    const filter = { ...(sku && { sku }), ...(locationId && { locationId }) };
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: { method: "ListStockLevels", ...filter },
      place: toLevelPlace,
      read: (page) => reader.levels(filter, page),
      cursorOf: (level) => [level.sku, level.locationId],
    });
    return whole(api.ListStockLevelsResponseSchema, { levels: items.map(fromLevel), nextPageToken });
  }

  async listBackOrders(request: api.ListBackOrdersRequest) {
    const { sku } = request;
    const { reader, pageTokens } = this.#options;
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: { method: "ListBackOrders", sku },
      place: toNumber,
      read: (page) => reader.backOrders(sku, page),
      cursorOf: ({ place }) => String(place),
    });
    return whole(api.ListBackOrdersResponseSchema, { backOrders: items.map(fromBackOrder), nextPageToken });
  }

  async listStockMovements(request: api.ListStockMovementsRequest) {
    const { sku, locationId, orderId } = request;
    const { reader, pageTokens } = this.#options;
    const filter = { ...(sku && { sku }), ...(locationId && { locationId }), ...(orderId && { orderId }) };
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: { method: "ListStockMovements", ...filter },
      place: toNumber,
      read: (page) => reader.movements(filter, page),
      cursorOf: ({ movementId }) => String(movementId),
    });
    return whole(api.ListStockMovementsResponseSchema, { movements: items.map(fromMovement), nextPageToken });
  }
}

/** A place that counts up. */
function toNumber(cursor: Json): bigint | undefined {
  return typeof cursor === "string" ? BigInt(cursor) : undefined;
}

function toLevelPlace(cursor: Json): LevelPlace | undefined {
  if (!Array.isArray(cursor)) return undefined;
  const [sku, locationId] = cursor;
  return typeof sku === "string" && typeof locationId === "string" ? [sku, locationId] : undefined;
}

/** The entries of a batch, each with a method of its own and an order. */
function about(method: string): AboutEntries<{ orderId: string }> {
  return { method, subjectOf: ({ orderId }) => ({ "order.id": orderId }) };
}
