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
  readonly details: { readonly [field in keyof CustomerDetails]: CustomerDetails[field] | undefined };
  /** The revision that the caller has seen; undefined: changed in any case. */
  readonly revision: number | undefined;
}
