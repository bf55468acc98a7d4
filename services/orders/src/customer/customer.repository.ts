import { OptimisticLockError } from "@mikro-orm/core";
import { type EntityManager, raw } from "@mikro-orm/postgresql";
import { OrderErrorReason } from "#gen/shop/orders/v1/order_error_reason_pb.js";
import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { requestContext } from "#platform/context.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import { isUniqueViolation } from "#platform/database/sql-state.ts";
import { newId, timeOf } from "#platform/id.ts";
import { customerNotFound, OrderError } from "../order/errors.ts";
import {
  type Customer,
  type CustomerChange,
  type CustomerDetails,
  CustomerEntity,
  type CustomerRecord,
} from "./customer.ts";

/** A new customer with the key under which its creation may be repeated. */
export type KeyedDetails = Keyed & { readonly details: CustomerDetails };

/** A change of one customer with the key under which it may be repeated. */
export type KeyedChange = Keyed & { readonly change: CustomerChange };

/** Nobody is a customer yet: who registers somebody has request ids of its own. */
const creations: KeySpace<KeyedDetails> = { method: "CreateCustomer", scope: () => auditOrigin().actor };
const changes: KeySpace<KeyedChange> = { method: "UpdateCustomer", scope: ({ change }) => change.customerId };

/** Which customers; newest first, older than `after`. */
export interface CustomerPage {
  /** Empty: all. */
  readonly email: string;
  readonly after: string | undefined;
  readonly limit: number;
}

/** How often a change that may happen in any case is tried against others. */
const maxAttempts = 4;

/** Keeps customers by MikroORM's unit of work; a mutation's key is written in its transaction. */
export class CustomerRepository {
  readonly #database: Database;
  readonly #create: (inputs: KeyedDetails[]) => Promise<(Customer | Error)[]>;
  readonly #update: (inputs: KeyedChange[]) => Promise<(Customer | Error)[]>;

  constructor(database: Database) {
    this.#database = database;
    this.#create = replayable<KeyedDetails, Customer>({
      database,
      ...creations,
      run: (inputs) => Promise.all(inputs.map((input) => this.#insert(input))),
      decode,
    });
    this.#update = replayable<KeyedChange, Customer>({
      database,
      ...changes,
      run: (inputs) => Promise.all(inputs.map((input) => this.#change(input))),
      decode,
    });
  }

  /** @throws EMAIL_TAKEN, REQUEST_ID_REUSED */
  async create(input: KeyedDetails): Promise<Customer> {
    return only(await this.#create([input]));
  }

  /** @throws CUSTOMER_NOT_FOUND, EMAIL_TAKEN, CUSTOMER_CHANGED, REQUEST_ID_REUSED */
  async update(input: KeyedChange): Promise<Customer> {
    return only(await this.#update([input]));
  }

  /** @throws CUSTOMER_NOT_FOUND */
  async get(customerId: string): Promise<Customer> {
    return findRecord(this.#database.em(), customerId);
  }

  /** At most `limit` customers. */
  async list({ email, after, limit }: CustomerPage): Promise<Customer[]> {
    return this.#database.em().find(
      CustomerEntity,
      {
        ...(email && { [raw("lower(email)")]: email.toLowerCase() }),
        ...(after && { customerId: { $lt: after } }),
      },
      { orderBy: { customerId: "desc" }, limit },
    );
  }

  /** The key goes first: a repetition has to meet it before it meets the e-mail address of its own first time. */
  async #insert(input: KeyedDetails): Promise<Customer | Error> {
    // Who registers himself is the customer from now on: a credential and a customer have one id.
    const { owner } = requestContext();
    const customerId = owner ?? newId();
    const now = owner === undefined ? timeOf(customerId) : new Date();
    const row = { ...input.details, customerId, createTime: now, updateTime: now };
    const customer: Customer = { ...row, revision: 1 };
    return orEmailTaken(
      this.#database.em().transactional(async (em) => {
        await insertKey(em, { method: keyMethod(creations, input), keyed: input, customer });
        em.persist(em.create(CustomerEntity, row));
        return customer;
      }),
    );
  }

  async #change(input: KeyedChange): Promise<Customer | Error> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await orEmailTaken(this.#changeOnce(input));
      } catch (error) {
        if (!(error instanceof OptimisticLockError)) throw error;
        const { customerId, revision } = input.change;
        if (revision !== undefined) return customerChanged(customerId, error);
        if (attempt >= maxAttempts) throw error;
      }
    }
  }

  #changeOnce(input: KeyedChange): Promise<Customer> {
    const { customerId, details, revision } = input.change;
    return this.#database.em().transactional(async (em) => {
      const record = await findRecord(em, customerId);
      const given = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
      const before: Customer = { ...record };
      const after: Customer = {
        ...before,
        ...given,
        revision: before.revision + 1,
        updateTime: laterThan(before.updateTime),
      };
      await insertKey(em, { method: keyMethod(changes, input), keyed: input, customer: after });
      if (revision !== undefined && revision !== before.revision) throw customerChanged(customerId);
      em.assign(record, { ...given, updateTime: after.updateTime });
      return after;
    });
  }
}

/** Refusals of the customer's own transaction become outcomes; what repeats or fails the batch is thrown on. */
async function orEmailTaken(work: Promise<Customer>): Promise<Customer | Error> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof OrderError) return error;
    if (isUniqueViolation(error, "customer_pkey")) {
      return new OrderError(OrderErrorReason.CUSTOMER_EXISTS, "the caller is a customer already");
    }
    if (!isUniqueViolation(error, "customer_email_key")) throw error;
    return new OrderError(OrderErrorReason.EMAIL_TAKEN, "another customer has this e-mail address");
  }
}

async function findRecord(em: EntityManager, customerId: string): Promise<CustomerRecord> {
  const record = await em.findOne(CustomerEntity, { customerId });
  if (!record) throw customerNotFound(customerId);
  return record;
}

async function insertKey(em: EntityManager, key: { method: string; keyed: Keyed; customer: Customer }): Promise<void> {
  const { method, keyed, customer } = key;
  const values = [method, keyed.requestId, keyed.fingerprint, Buffer.from(JSON.stringify(customer))];
  await em.execute(
    "insert into idempotency_key (method, request_id, fingerprint, response) values (?, ?, ?, ?)",
    values,
  );
}

function customerChanged(customerId: string, cause?: unknown): Error {
  const message = "the customer was changed by somebody else since it was read";
  const metadata = { customer_id: customerId };
  return new OrderError(OrderErrorReason.CUSTOMER_CHANGED, message, metadata, { cause });
}

function decode(response: Buffer): Customer {
  const { createTime, updateTime, ...rest } = JSON.parse(response.toString()) as Customer;
  return { ...rest, createTime: new Date(createTime), updateTime: new Date(updateTime) };
}

/** Even two changes within a millisecond have different times. */
function laterThan(time: Date): Date {
  return new Date(Math.max(Date.now(), time.getTime() + 1));
}

function only(outcomes: (Customer | Error)[]): Customer {
  const [outcome] = outcomes;
  if (outcome === undefined || outcome instanceof Error) throw outcome;
  return outcome;
}
