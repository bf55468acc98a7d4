import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** A row of `customer`; `revision` is its optimistic lock. */
export const CustomerEntity = defineEntity({
  name: "Customer",
  tableName: "customer",
  properties: {
    customerId: p.uuid().primary(),
    givenName: p.text(),
    familyName: p.text(),
    email: p.text(),
    phone: p.text(),
    revision: p.integer().version(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
  },
});

/** What the entity manager gives for a row. */
export type CustomerRecord = InferEntity<typeof CustomerEntity>;
