import { DefaultLogger, type EntityManager, type EntitySchema, MikroORM } from "@mikro-orm/postgresql";
import type pg from "pg";
import { z } from "zod";
import type { Logger } from "#platform/log/logger.ts";
import { poolConnections, poolMax, poolWaiting } from "#platform/metrics/process-metrics.ts";
import { Secret } from "#platform/secret.ts";
import { Listener } from "./listener.ts";
import { noteStatement } from "./observe.ts";
import { followPassword } from "./rotation.ts";
import { PoolerError, sessionEnds } from "./session.ts";
import type { SqlText } from "./sql-text.ts";
import {
  databaseName,
  forgetStatements,
  inTransaction,
  type Queryable,
  runStatement,
  type Transaction,
} from "./transaction.ts";
import { Connections, requireWritable } from "./writable.ts";

/** How a process connects. Times are milliseconds. */
export interface DatabaseOptions {
  readonly url: string | Secret;
  /** Whether a pooler hands out connections by transaction: no prepared statements then, and no settings of a session. Default false. */
  readonly pooled?: boolean;
  /** Where it is listened; default `url`. */
  readonly directUrl?: string | Secret | undefined;
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  readonly entities: EntitySchema[];
  /** Default 10. */
  readonly poolMax?: number;
  /** How long to wait for a free connection, and for a password that has changed to come; default 3,000. */
  readonly connectTimeoutMs?: number;
  /** Default 5,000. */
  readonly statementTimeoutMs?: number;
  /** Default 2,000. */
  readonly lockTimeoutMs?: number;
  /** Default 10,000. */
  readonly idleInTransactionTimeoutMs?: number;
  /** Told what no caller is told: connections that were lost and came back. */
  readonly log?: Pick<Logger, "warn">;
}

const defaultPoolMax = 10;
const defaultConnectTimeoutMs = 3_000;

/** What MikroORM runs by itself does not pass through `query`; its logger is told of each statement that has ended. */
class OrmLogger extends DefaultLogger {
  readonly #namespace: string;

  constructor(settings: ConstructorParameters<typeof DefaultLogger>[0], namespace: string) {
    super(settings);
    this.#namespace = namespace;
  }

  override logQuery(ended: Parameters<DefaultLogger["logQuery"]>[0]): void {
    noteStatement(ended, this.#namespace);
  }
}

function measurePool(pool: pg.Pool, max: number): (() => void)[] {
  return [
    poolConnections.add(() => [
      [{ state: "busy" }, pool.totalCount - pool.idleCount],
      [{ state: "idle" }, pool.idleCount],
    ]),
    poolWaiting.add(() => [[{}, pool.waitingCount]]),
    poolMax.add(() => [[{}, max]]),
  ];
}

/** One database of one service: MikroORM and raw statements on the same bounded pool. */
export class Database implements Queryable {
  readonly orm: MikroORM;
  readonly pool: pg.Pool;
  readonly #options: DatabaseOptions;
  readonly #listeners = new Set<Listener>();
  readonly #unmeasured: readonly (() => void)[];
  readonly #connections: Connections;

  private constructor(orm: MikroORM, pool: pg.Pool, options: DatabaseOptions) {
    this.orm = orm;
    this.pool = pool;
    this.#options = options;
    this.#connections = new Connections(pool);
    if (options.pooled) forgetStatements(pool);
    this.#unmeasured = measurePool(pool, options.poolMax ?? defaultPoolMax);
  }

  /** Builds the pool; connects only when the first statement runs. */
  static async open(options: DatabaseOptions): Promise<Database> {
    const url = secretOf(options.url);
    const orm = new MikroORM({
      clientUrl: url.text,
      entities: options.entities,
      pool: { max: options.poolMax ?? defaultPoolMax, idleTimeoutMillis: 30_000 },
      driverOptions: connectionOptions(options, url),
      forceUtcTimezone: true,
      // It would ask for the database while the pool is built, and make it when it is missing: neither is our business.
      ensureDatabase: false,
      // Only deprecations are said: what fails is thrown, and its greeting is no warning.
      logger: (message) => options.log?.warn(message),
      loggerFactory: (settings) => new OrmLogger(settings, databaseName(url.text) ?? ""),
      discovery: { warnWhenNoEntities: false },
      colors: false,
    });
    const pool: pg.Pool = await orm.driver.getConnection().getNativeClient();
    followPassword(pool, url, options.connectTimeoutMs ?? defaultConnectTimeoutMs);
    return new Database(orm, pool, options);
  }

  /** A fresh fork of the entity manager: one per unit of work. */
  em(): EntityManager {
    return this.orm.em.fork();
  }

  /** Runs one statement in a transaction of its own. */
  query<R extends object = Record<string, unknown>>(sql: SqlText | string, values?: readonly unknown[]): Promise<R[]> {
    return runStatement<R>(this.pool, sql, values);
  }

  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return inTransaction(this.pool, work);
  }

  /**
   * Listens on a channel with a connection of its own, which reconnects by itself. `onPayload` gets `""` after a
   * reconnect: something may have been missed. The returned function ends it.
   */
  async listen(channel: string, onPayload: (payload: string) => void): Promise<() => Promise<void>> {
    const { url, directUrl = url, pooled } = this.#options;
    if (pooled && directUrl === url)
      throw new PoolerError(`to hear of ${channel}, set DATABASE_DIRECT_URL to the server itself`);
    const listener = new Listener({
      url: secretOf(directUrl),
      channel,
      onPayload,
      onFailure: (error) => this.#options.log?.warn("a listening connection failed", { channel, err: error }),
    });
    await listener.start();
    this.#listeners.add(listener);
    return async () => {
      this.#listeners.delete(listener);
      await listener.stop();
    };
  }

  /** Throws when the database does not answer, or takes no writes. */
  async ping(): Promise<void> {
    try {
      await requireWritable(this.pool);
    } catch (error) {
      this.#connections.retire();
      throw error;
    }
  }

  /** Ends all connections; statements in flight finish first. */
  async close(): Promise<void> {
    await Promise.all([...this.#listeners].map((listener) => listener.stop()));
    this.#listeners.clear();
    for (const end of this.#unmeasured) end();
    await this.orm.close();
    // It ends only what asked by way of it: connections of others would keep a process for as long as they may be idle.
    if (!this.pool.ending) await this.pool.end();
  }
}

function secretOf(url: string | Secret): Secret {
  return typeof url === "string" ? new Secret(url, z.string()) : url;
}

/** Every wait has an end, at the server and, should it not answer at all, here. */
function connectionOptions(options: DatabaseOptions, url: Secret): pg.PoolConfig {
  const statementTimeout = options.statementTimeoutMs ?? sessionEnds.statement_timeout;
  const ends = {
    statement_timeout: statementTimeout,
    lock_timeout: options.lockTimeoutMs ?? sessionEnds.lock_timeout,
    idle_in_transaction_session_timeout:
      options.idleInTransactionTimeoutMs ?? sessionEnds.idle_in_transaction_session_timeout,
  };
  return {
    connectionString: url.text,
    application_name: options.name,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: options.connectTimeoutMs ?? defaultConnectTimeoutMs,
    query_timeout: statementTimeout + 2_000,
    ...(options.pooled ? {} : ends),
  };
}
