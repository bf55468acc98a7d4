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
    /** Null where the contact is sealed, as the next two are. */
    givenName: p.text().nullable(),
    familyName: p.text().nullable(),
    /** Unique without regard to case. */
    email: p.text().nullable(),
    /** E.164; empty where it is sealed. */
    phone: p.text(),
    /** Sealed: names and e-mail address. */
    contact: p.text().nullable(),
    /** Sealed; null where there is none. */
    sealedPhone: p.text().nullable(),
    /** When it was forgotten who it is: nobody sees the row any more. */
    eraseTime: p.datetime().nullable(),
    /** Counts the changes, from 1; the optimistic lock. */
    revision: p.integer().version(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
  },
});

/** A row that the entity manager watches: what is changed in it is written. */
export type CustomerRecord = InferEntity<typeof CustomerEntity>;

/** Somebody who orders. Personal data: kept out of logs and traces. */
export interface Customer {
  readonly customerId: string;
  readonly givenName: string;
  readonly familyName: string;
  /** Unique without regard to case. */
  readonly email: string;
  /** E.164; may be empty. */
  readonly phone: string;
  /** Counts the changes, from 1. */
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

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
