import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { EntitySchema } from "@mikro-orm/core";
import type { Registry } from "prom-client";
import type { z } from "zod";
import type { Credentials } from "#platform/caller.ts";
import type { ConfigOf, DatabaseConfig, EventsConfig, PlatformConfig, Together } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { MigrationsList, Readable } from "#platform/database/migrate.ts";
import type { FeatureFlags } from "#platform/flags/feature-flags.ts";
import type { Handler } from "#platform/http/rpc.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { ServiceRegistration } from "#platform/registration.ts";
import type { OwnReloads } from "./config-file.ts";

/** What a service and the platform read from the environment together. */
export type ServiceConfig<S extends z.ZodRawShape> = ConfigOf<S> &
  PlatformConfig &
  Partial<DatabaseConfig & EventsConfig>;

/** What a service is built from. */
export interface ServiceContext<S extends z.ZodRawShape> {
  readonly config: ServiceConfig<S>;
  readonly logger: Logger;
  /** Where the logger writes: whoever writes lines beside it must do so there, or lines would mix. */
  readonly output: NodeJS.WritableStream;
  /** @throws when the definition has no database */
  readonly database: Database;
  /** Where the service's own metrics are registered. */
  readonly registry: Registry;
  readonly flags: FeatureFlags;
  /**
   * A client of another service by gRPC; one channel per address is shared. The deadline of the running call goes on to
   * the callee, and UNAVAILABLE is repeated within a budget.
   *
   * @param address `host:port`, or any target that grpc-js resolves, for example `dns:///orders:50051`
   */
  client<T extends DescService>(service: T, address: string): Client<T>;
  /**
   * Fires when the process stops and calls have had some time to end by themselves: one that waits for something to
   * happen answers with what it has.
   */
  readonly closing: AbortSignal;
}

/** What a service consists of. */
export interface ServiceParts {
  services: ServiceRegistration[];
  /** What the HTTP port answers besides, by the first part of the path: `codec` for `/codec` and whatever is below. */
  pages?: Readonly<Record<string, Handler>>;
  /** What callers prove who they are with; without it nobody is asked. */
  credentials?: Credentials;
  /** What is done when a setting of the service's own has changed that may change while it runs; see `config-file.ts`. */
  reloads?: OwnReloads;
  /** Throws while the service cannot do its work; the database is asked anyway. */
  ready?: (signal: AbortSignal) => Promise<void>;
  /** Starts background loops, once both listeners are open. */
  start?: () => Promise<void>;
  /** Ends background loops on drain, after the calls in flight have finished. */
  stop?: () => Promise<void>;
}

/** A service as `startService` runs it. */
export interface ServiceDefinition<S extends z.ZodRawShape> {
  name: string;
  /** What the service reads from the environment besides the platform's own. */
  config: S;
  /** What is wrong with variables of `config` together, where each by itself may be so; nothing by default. */
  together?: Together;
  /** `readable`: what the role `<service>_reader` may see of it; nothing by default. `requestIds`: whether it has a table of request ids; by default it has. */
  database?: { entities: EntitySchema[]; migrations: MigrationsList; readable?: Readable; requestIds?: boolean };
  /** What else its program does, by name: `node main.ts erased list` runs `erased` with `["list"]`; nothing by default. */
  commands?: Readonly<Record<string, (args: readonly string[]) => Promise<void>>>;
  build(context: ServiceContext<S>): ServiceParts | Promise<ServiceParts>;
}
