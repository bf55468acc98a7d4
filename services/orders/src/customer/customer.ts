import { defineEntity, type InferEntity, p, Type } from "@mikro-orm/core";
import { decodeId, encodeId } from "#platform/id.ts";

/** An id: text here, `uuid` in the database. */
class IdType extends Type<string, string> {
  override convertToDatabaseValue(id: string): string {
    return decodeId(id);
  }

  override convertToJSValue(uuid: string): string {
    return encodeId(uuid);
  }

  override getColumnType(): string {
    return "uuid";
  }
}

/** A row of `customer`. */
export const CustomerEntity = defineEntity({
  name: "Customer",
  tableName: "customer",
  properties: {
    customerId: p.type(IdType).primary(),
    givenName: p.text(),
    familyName: p.text(),
    /** Unique without regard to case. */
    email: p.text(),
    /** E.164; may be empty. */
    phone: p.text(),
    /** Counts the changes, from 1; the optimistic lock. */
    revision: p.integer().version(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
  },
});

/** A row that the entity manager watches: what is changed in it is written. */
export type CustomerRecord = InferEntity<typeof CustomerEntity>;

/** Somebody who orders, with the fields of {@link CustomerEntity}. Personal data: kept out of logs and traces. */
export type Customer = { readonly [Field in keyof CustomerRecord & string]: CustomerRecord[Field] };

/** What somebody is called and where they are reached. */
export type CustomerDetails = Pick<Customer, "givenName" | "familyName" | "email" | "phone">;

/** A change of a customer. */
export interface CustomerChange {
  readonly customerId: string;
  /** Undefined leaves a field as it is. */
  readonly details: { readonly [Field in keyof CustomerDetails]: CustomerDetails[Field] | undefined };
  /** The revision that the caller has seen; undefined: changed in any case. */
  readonly revision: number | undefined;
}
