import { OptimisticLockError } from "@mikro-orm/core";
import { type EntityManager, raw } from "@mikro-orm/postgresql";
import { OrderErrorReason } from "#gen/shop/orders/v1/order_error_reason_pb.js";
import { auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { requestContext } from "#platform/context.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import { isUniqueViolation } from "#platform/database/sql-state.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId, timeOf } from "#platform/id.ts";
import { BlindIndex } from "#platform/personal/blind-index.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { attachKeys, insertPersonalKeys } from "#platform/personal/personal-key.ts";
import { customerNotFound, OrderError } from "../order/errors.ts";
import {
  type Customer,
  type CustomerChange,
  type CustomerDetails,
  CustomerEntity,
  type CustomerRecord,
} from "./customer.ts";
import { openPerson, protectPerson } from "./customer-person.ts";

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

/** What a repetition is answered with, as it is stored: sealed like the customer, or plain. */
interface StoredAnswer {
  readonly customerId: string;
  /** Sealed: a {@link Customer} as JSON. */
  readonly sealed: string;
}

/** An answer that is read back: its key is not looked for yet. */
type Answer = Customer | StoredAnswer;

/** Keeps customers by MikroORM's unit of work; a mutation's key is written in its transaction. */
export class CustomerRepository {
  readonly #database: Database;
  readonly #personal: PersonalData;
  /** Finds who is sealed; undefined where nobody can be. */
  readonly #index: BlindIndex | undefined;
  readonly #create: (inputs: KeyedDetails[]) => Promise<(Answer | Error)[]>;
  readonly #update: (inputs: KeyedChange[]) => Promise<(Answer | Error)[]>;

  /** @param personal by default everything is plain */
  constructor(database: Database, personal: PersonalData = plainPersonalData) {
    this.#database = database;
    this.#personal = personal;
    this.#index = personal.keys && new BlindIndex(database, personal.keys);
    this.#create = replayable<KeyedDetails, Answer>({
      database,
      ...creations,
      run: (inputs) => Promise.all(inputs.map((input) => this.#insert(input))),
      decode,
    });
    this.#update = replayable<KeyedChange, Answer>({
      database,
      ...changes,
      run: (inputs) => Promise.all(inputs.map((input) => this.#change(input))),
      decode,
    });
  }

  /** @throws EMAIL_TAKEN, REQUEST_ID_REUSED */
  async create(input: KeyedDetails): Promise<Customer> {
    return this.#openAnswer(only(await this.#create([input])), { method: keyMethod(creations, input), keyed: input });
  }

  /** @throws CUSTOMER_NOT_FOUND, EMAIL_TAKEN, CUSTOMER_CHANGED, REQUEST_ID_REUSED */
  async update(input: KeyedChange): Promise<Customer> {
    return this.#openAnswer(only(await this.#update([input])), { method: keyMethod(changes, input), keyed: input });
  }

  /** @throws CUSTOMER_NOT_FOUND */
  async get(customerId: string): Promise<Customer> {
    return this.#open(await findRecord(this.#database.em(), customerId));
  }

  /** At most `limit` customers. */
  async list({ email, after, limit }: CustomerPage): Promise<Customer[]> {
    const records = await this.#database.em().find(
      CustomerEntity,
      {
        ...(email && {
          $or: [{ [raw("lower(email)")]: email.toLowerCase() }, { customerId: await this.#found(email) }],
        }),
        ...(after && { customerId: { $lt: after } }),
        eraseTime: null,
      },
      { orderBy: { customerId: "desc" }, limit },
    );
    return Promise.all(records.map((record) => this.#open(record)));
  }

  /** The key goes first: a repetition has to meet it before it meets the e-mail address of its own first time. */
  async #insert(input: KeyedDetails): Promise<Customer | Error> {
    // Who registers himself is the customer from now on: a credential and a customer have one id.
    const { owner } = requestContext();
    const customerId = owner ?? newId();
    const now = owner === undefined ? timeOf(customerId) : new Date();
    const customer: Customer = { ...input.details, customerId, createTime: now, updateTime: now, revision: 1 };
    const { columns, keys } = await protectPerson(this.#personal, decodeId(customerId), input.details);
    await this.#index?.ready();
    return orEmailTaken(
      this.#database.em().transactional(async (em) => {
        await this.#insertKey(em, { method: keyMethod(creations, input), keyed: input, customer });
        await this.#takeEmail(em, customer);
        await insertPersonalKeys(queryableOf(em), decodeId(customerId), keys);
        await noteEffect(em, "customer.created", { customer, requestId: input.requestId });
        em.persist(em.create(CustomerEntity, { ...columns, customerId, createTime: now, updateTime: now }));
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

  async #changeOnce(input: KeyedChange): Promise<Customer> {
    const { customerId, details, revision } = input.change;
    await this.#index?.ready();
    return this.#database.em().transactional(async (em) => {
      const record = await findRecord(em, customerId);
      const before = await this.#open(record, queryableOf(em));
      const given = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
      const after: Customer = {
        ...before,
        ...given,
        revision: before.revision + 1,
        updateTime: laterThan(before.updateTime),
      };
      await this.#insertKey(em, { method: keyMethod(changes, input), keyed: input, customer: after });
      if (revision !== undefined && revision !== before.revision) throw customerChanged(customerId);
      await this.#takeEmail(em, after);
      const { columns, keys } = await protectPerson(this.#personal, decodeId(customerId), detailsOf(after));
      await insertPersonalKeys(queryableOf(em), decodeId(customerId), keys);
      await noteEffect(em, "customer.changed", { customer: after, requestId: input.requestId });
      em.assign(record, { ...columns, updateTime: after.updateTime });
      return after;
    });
  }

  /**
   * Has the personal data of at most `limit` customers lie as it is to be now, sealed or plain; returns how many there were. For a `Relay`.
   * Nobody's revision counts it: nothing of it is to be seen.
   */
  async moveBatch(limit: number): Promise<number> {
    const { seals } = this.#personal;
    await this.#index?.ready();
    return this.#database.em().transactional(async (em) => {
      const database = queryableOf(em);
      const rows = await database.query<{ customer_id: string }>(seals ? findPlain : findSealed, [limit]);
      for (const { customer_id: uuid } of rows) {
        const customer = await this.#open(await findRecord(em, encodeId(uuid)), database);
        // A process of the version before may have given an address twice: whoever had it first is found by it.
        const hash = await this.#index?.hash(folded(customer.email));
        await (seals ? database.query(keepEmail, [hash, uuid]) : database.query(leaveEmail, [uuid]));
        const { columns, keys } = await protectPerson(this.#personal, uuid, detailsOf(customer));
        await insertPersonalKeys(database, uuid, keys);
        const { givenName, familyName, email, phone, contact, sealedPhone } = columns;
        await database.query(moveCustomer, [uuid, givenName, familyName, email, phone, contact, sealedPhone]);
      }
      return rows.length;
    });
  }

  /** @param database the transaction, where there is one: within it, nobody waits for a second connection */
  async #open(record: CustomerRecord, database: Queryable = this.#database): Promise<Customer> {
    const { customerId, revision, createTime, updateTime } = record;
    const [contact = null, sealedPhone = null] = await attachKeys<null>(database, [
      record.contact ?? null,
      record.sealedPhone ?? null,
    ]);
    const { givenName = null, familyName = null, email = null, phone } = record;
    const columns = { givenName, familyName, email, phone, contact, sealedPhone };
    const details = await openPerson(this.#personal, decodeId(customerId), columns);
    return { customerId, ...details, revision, createTime, updateTime };
  }

  /** Whose sealed address this is. */
  async #found(email: string): Promise<string[]> {
    if (!this.#index) return [];
    const rows = await this.#database.query<{ customer_id: string }>(findEmail, [
      await this.#index.hash(folded(email)),
    ]);
    return rows.map((row) => encodeId(row.customer_id));
  }

  /**
   * Has the address be this customer's alone. Who is plain is kept apart by an index of the plain ones, who is sealed by that of the
   * hashes; each is looked for in the other one as well.
   */
  async #takeEmail(em: EntityManager, { customerId, email }: Customer): Promise<void> {
    const index = this.#index;
    if (!index) return;
    const database = queryableOf(em);
    const values = [await index.hash(folded(email)), decodeId(customerId)];
    if (this.#personal.seals) {
      await database.query(takeEmail, values);
      const plain = await database.query(findPlainEmail, [email, decodeId(customerId)]);
      if (plain.length > 0) throw emailTaken();
      return;
    }
    await database.query(leaveEmail, [decodeId(customerId)]);
    const sealed = await database.query(findEmail, values.slice(0, 1));
    if (sealed.length > 0) throw emailTaken();
  }

  async #insertKey(em: EntityManager, key: AnswerKey & { customer: Customer }): Promise<void> {
    const { method, keyed, customer } = key;
    const database = queryableOf(em);
    let response = JSON.stringify(customer);
    if (this.#personal.seals) {
      const { text, key: personalKey } = await this.#personal.seal(answerPlace(key), customer);
      response = JSON.stringify({ customerId: customer.customerId, sealed: text } satisfies StoredAnswer);
      await insertPersonalKeys(database, decodeId(customer.customerId), [personalKey]);
    }
    await database.query(insertAnswer, [method, keyed.requestId, keyed.fingerprint, Buffer.from(response)]);
  }

  /** @throws CUSTOMER_NOT_FOUND when whom it is about is forgotten */
  async #openAnswer(answer: Answer, key: AnswerKey): Promise<Customer> {
    if (!("sealed" in answer)) return answer;
    const [text = ""] = await attachKeys(this.#database, [answer.sealed]);
    const opened = await this.#personal.open(answerPlace(key), text);
    if (opened === undefined) throw customerNotFound(answer.customerId);
    return revived(opened as Customer);
  }
}

/** What the audit log calls what was done to a customer. */
type CustomerAction = "customer.created" | "customer.changed";

/** Writes down what is done to a customer: nothing that says who it is. */
async function noteEffect(
  em: EntityManager,
  action: CustomerAction,
  { customer, requestId }: { readonly customer: Customer; readonly requestId: string },
): Promise<void> {
  const details = { revision: String(customer.revision) };
  const entry = { action, subject: customer.customerId, details, origin: auditOrigin(requestId) };
  await queryableOf(em).query(insertEffect, [auditEvents([entry])]);
}

/** The transaction of a unit of work, for statements with `$1`, which its own are without; arrays are of ids. */
function queryableOf(em: EntityManager): Queryable {
  return {
    query: async (sql, values = []) => {
      const ordered: unknown[] = [];
      const text = (typeof sql === "string" ? sql : sql.text).replace(/\$(\d+)/g, (_, number: string) => {
        const value = values[Number(number) - 1];
        ordered.push(Array.isArray(value) ? `{${value.join(",")}}` : value);
        return "?";
      });
      return await em.execute(text, ordered);
    },
  };
}

interface AnswerKey {
  readonly method: string;
  readonly keyed: Keyed;
}

function answerPlace({ method, keyed }: AnswerKey): string {
  return `idempotency_key.response/${method}/${keyed.requestId}`;
}

const insertEffect: SqlText = { name: "customer_audit_insert", text: insertAuditEvents("$1") };
const insertAnswer: SqlText = {
  name: "customer_answer_insert",
  text: "insert into idempotency_key (method, request_id, fingerprint, response) values ($1, $2, $3, $4)",
};
/** Those that an index has: few, once all are sealed. */
const findPlain: SqlText = {
  name: "customer_personal_plain",
  text: `select customer_id from customer where given_name is not null order by customer_id limit $1
    for no key update skip locked`,
};
const findSealed: SqlText = {
  name: "customer_personal_sealed",
  text: "select customer_id from customer where contact is not null limit $1 for no key update skip locked",
};
const moveCustomer: SqlText = {
  name: "customer_personal_move",
  text: `update customer set given_name = $2, family_name = $3, email = $4, phone = $5, contact = $6, sealed_phone = $7
    where customer_id = $1`,
};
const findEmail: SqlText = {
  name: "customer_email_find",
  text: "select customer_id from customer_email where email_hash = $1",
};
const findPlainEmail: SqlText = {
  name: "customer_email_plain",
  text: "select from customer where lower(email) = lower($1) and customer_id <> $2",
};
const takeEmail: SqlText = {
  name: "customer_email_take",
  text: `insert into customer_email (email_hash, customer_id) values ($1, $2)
    on conflict (customer_id) do update set email_hash = excluded.email_hash`,
};
const keepEmail: SqlText = {
  name: "customer_email_keep",
  text: "insert into customer_email (email_hash, customer_id) values ($1, $2) on conflict do nothing",
};
const leaveEmail: SqlText = {
  name: "customer_email_leave",
  text: "delete from customer_email where customer_id = $1",
};

/** As addresses are compared: without regard to case, and to how a letter is written. */
export function folded(email: string): string {
  return email.normalize("NFKC").trim().toLowerCase();
}

function detailsOf({ givenName, familyName, email, phone }: Customer): CustomerDetails {
  return { givenName, familyName, email, phone };
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
    const taken = ["customer_email_key", "customer_email_pkey"].some((key) => isUniqueViolation(error, key));
    if (!taken) throw error;
    return emailTaken();
  }
}

function emailTaken(): Error {
  return new OrderError(OrderErrorReason.EMAIL_TAKEN, "another customer has this e-mail address");
}

async function findRecord(em: EntityManager, customerId: string): Promise<CustomerRecord> {
  const record = await em.findOne(CustomerEntity, { customerId, eraseTime: null });
  if (!record) throw customerNotFound(customerId);
  return record;
}

function customerChanged(customerId: string, cause?: unknown): Error {
  const message = "the customer was changed by somebody else since it was read";
  const metadata = { customer_id: customerId };
  return new OrderError(OrderErrorReason.CUSTOMER_CHANGED, message, metadata, { cause });
}

function decode(response: Buffer): Answer {
  // biome-ignore lint/plugin/json: an answer that we wrote
  const answer = JSON.parse(response.toString()) as Answer;
  return "sealed" in answer ? answer : revived(answer);
}

function revived({ createTime, updateTime, ...rest }: Customer): Customer {
  return { ...rest, createTime: new Date(createTime), updateTime: new Date(updateTime) };
}

/** Even two changes within a millisecond have different times. */
function laterThan(time: Date): Date {
  return new Date(Math.max(Date.now(), time.getTime() + 1));
}

function only<T>(outcomes: (T | Error)[]): T {
  const [outcome] = outcomes;
  if (outcome === undefined || outcome instanceof Error) throw outcome;
  return outcome;
}
