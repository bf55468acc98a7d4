import { defineEntity, p } from "@mikro-orm/core";

/** How much of one article there is at one location, for the reads that MikroORM makes: a `Level`. */
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
