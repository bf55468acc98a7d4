import { defineEntity, p } from "@mikro-orm/core";
import type { AllocationJson } from "./stock-rows.ts";

/** How much of one article there is at one location. */
export const StockLevelEntity = defineEntity({
  name: "StockLevel",
  tableName: "stock_level",
  properties: {
    sku: p.text().primary(),
    locationId: p.text().primary(),
    onHand: p.bigint("bigint").default(0),
    reserved: p.bigint("bigint").default(0),
    updateTime: p.datetime().defaultRaw("now()"),
  },
});

/** What is set aside for an order; without allocations: that it was released before it was reserved. */
export const ReservationEntity = defineEntity({
  name: "Reservation",
  tableName: "reservation",
  properties: {
    orderId: p.uuid().primary(),
    allocations: p.json<AllocationJson[]>(),
    expireTime: p.datetime().nullable(),
    createTime: p.datetime().defaultRaw("now()"),
    updateTime: p.datetime().defaultRaw("now()"),
  },
});

/** One change of a level; never changed or deleted. */
export const StockMovementEntity = defineEntity({
  name: "StockMovement",
  tableName: "stock_movement",
  properties: {
    movementId: p.bigint("bigint").primary(),
    sku: p.text(),
    locationId: p.text(),
    kind: p.text(),
    onHandDelta: p.bigint("bigint"),
    reservedDelta: p.bigint("bigint"),
    orderId: p.uuid().nullable(),
    reason: p.text().nullable(),
    createTime: p.datetime().defaultRaw("now()"),
  },
});

/** Everything that MikroORM knows in the inventory database. */
export const entities = [StockLevelEntity, ReservationEntity, StockMovementEntity];
