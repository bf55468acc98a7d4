import type { ServiceImpl } from "@connectrpc/connect";
import * as api from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { type AboutEntries, answerEach } from "#platform/batch/batch-call.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { unknownSku } from "./errors.ts";
import type { StockRepository } from "./stock.repository.ts";
import { availableOf } from "./stock.ts";
import {
  fromLevel,
  fromMovement,
  fromReservation,
  toAdjust,
  toCommit,
  toConfirm,
  toKey,
  toRelease,
  toReserve,
} from "./stock-proto.ts";
import type { StockReader } from "./stock-reader.ts";

/** What the service works with. */
export interface InventoryParts {
  readonly stock: StockRepository;
  readonly reader: StockReader;
  readonly tokens: PageTokens;
  /** How long a hold lasts when its request does not say, in milliseconds. */
  readonly holdMs: number;
}

const defaultPageSize = 50;

/**
 * `shop.inventory.v1.InventoryService`: maps, calls, maps back. The list form calls the single form for each entry; the
 * repository puts them together again, with everybody else's.
 */
export class InventoryService implements ServiceImpl<typeof api.InventoryService> {
  readonly #parts: InventoryParts;

  constructor(parts: InventoryParts) {
    this.#parts = parts;
  }

  async reserveStock(request: api.ReserveStockRequest) {
    const { stock, holdMs } = this.#parts;
    const key = toKey(api.ReserveStockRequestSchema, request);
    return { reservation: fromReservation(await stock.change(key, toReserve(request, holdMs))) };
  }

  async batchReserveStock(list: api.BatchReserveStockRequest) {
    return { outcomes: await answerEach(list, about("ReserveStock"), (request) => this.reserveStock(request)) };
  }

  async confirmReservation(request: api.ConfirmReservationRequest) {
    const key = toKey(api.ConfirmReservationRequestSchema, request);
    return { reservation: fromReservation(await this.#parts.stock.change(key, toConfirm(request))) };
  }

  async batchConfirmReservations(list: api.BatchConfirmReservationsRequest) {
    return {
      outcomes: await answerEach(list, about("ConfirmReservation"), (request) => this.confirmReservation(request)),
    };
  }

  async commitReservation(request: api.CommitReservationRequest) {
    const key = toKey(api.CommitReservationRequestSchema, request);
    return { reservation: fromReservation(await this.#parts.stock.change(key, toCommit(request))) };
  }

  async batchCommitReservations(list: api.BatchCommitReservationsRequest) {
    return {
      outcomes: await answerEach(list, about("CommitReservation"), (request) => this.commitReservation(request)),
    };
  }

  async releaseReservation(request: api.ReleaseReservationRequest) {
    const key = toKey(api.ReleaseReservationRequestSchema, request);
    return { reservation: fromReservation(await this.#parts.stock.change(key, toRelease(request))) };
  }

  async batchReleaseReservations(list: api.BatchReleaseReservationsRequest) {
    return {
      outcomes: await answerEach(list, about("ReleaseReservation"), (request) => this.releaseReservation(request)),
    };
  }

  async adjustStock(request: api.AdjustStockRequest) {
    const key = toKey(api.AdjustStockRequestSchema, request);
    return { level: fromLevel(await this.#parts.stock.adjust(key, toAdjust(request))) };
  }

  async getStockLevel({ sku }: api.GetStockLevelRequest) {
    const levels = await this.#parts.reader.levelsOf(sku);
    if (levels.length === 0) throw unknownSku(sku);
    const available = levels.reduce((sum, level) => sum + availableOf(level), 0n);
    return { levels: levels.map(fromLevel), available };
  }

  async listStockLevels({ sku, locationId, pageSize, pageToken }: api.ListStockLevelsRequest) {
    const { reader, tokens } = this.#parts;
    const filter = { ...(sku && { sku }), ...(locationId && { locationId }) };
    const sealedFor: Json = { method: "ListStockLevels", ...filter };
    const after = toLevelCursor(tokens.open(pageToken, sealedFor));
    const limit = pageSize || defaultPageSize;
    const found = await reader.levels(filter, { limit: limit + 1, ...(after && { after }) });
    const levels = found.slice(0, limit);
    const last = found.length > limit ? levels.at(-1) : undefined;
    const nextPageToken = last ? tokens.seal([last.sku, last.locationId], sealedFor) : "";
    return { levels: levels.map(fromLevel), nextPageToken };
  }

  async listStockMovements({ sku, locationId, orderId, pageSize, pageToken }: api.ListStockMovementsRequest) {
    const { reader, tokens } = this.#parts;
    const filter = { ...(sku && { sku }), ...(locationId && { locationId }), ...(orderId && { orderId }) };
    const sealedFor: Json = { method: "ListStockMovements", ...filter };
    const before = tokens.open(pageToken, sealedFor);
    const limit = pageSize || defaultPageSize;
    const page = { limit: limit + 1, ...(typeof before === "string" && { before: BigInt(before) }) };
    const found = await reader.movements(filter, page);
    const movements = found.slice(0, limit);
    const last = found.length > limit ? movements.at(-1) : undefined;
    const nextPageToken = last ? tokens.seal(String(last.movementId), sealedFor) : "";
    return { movements: movements.map(fromMovement), nextPageToken };
  }
}

function toLevelCursor(cursor: Json | undefined): readonly [string, string] | undefined {
  if (!Array.isArray(cursor)) return undefined;
  const [sku, locationId] = cursor;
  return typeof sku === "string" && typeof locationId === "string" ? [sku, locationId] : undefined;
}

/** The entries of a list, each with a method of its own and an order. */
function about(method: string): AboutEntries<{ orderId: string }> {
  return { method, subjectOf: ({ orderId }) => ({ "order.id": orderId }) };
}
