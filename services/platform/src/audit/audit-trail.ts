import type { Registry } from "prom-client";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import type { PlatformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceRegistration } from "#platform/registration.ts";
import { AuditRepository } from "./audit.repository.ts";
import { AuditApi, type RevealAudit } from "./audit-api.ts";
import { AuditPublisher } from "./audit-publisher.ts";
import { AuditStream, type AuditStreamOptions } from "./audit-stream.ts";

/** What an audit trail is built from: a service's context, and its name. */
export interface AuditTrailOptions {
  readonly service: string;
  readonly database: Database;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly config: Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
    Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME">>;
  /** Where the events are published: where the logger writes. */
  readonly output: AuditStreamOptions["stream"];
  /** Opens what is sealed in the details, for who lists them; what is published stays sealed. By default nothing is sealed. */
  readonly reveal?: RevealAudit;
}

/**
 * The audit log of a service beside the statements that write it: AuditService, to be added to the service's registrations,
 * and the publication, to be started and stopped with its other background work.
 */
export class AuditTrail {
  readonly registration: ServiceRegistration;
  readonly #publisher: AuditPublisher;

  constructor(options: AuditTrailOptions) {
    const { config, database, registry, logger: log, output, reveal } = options;
    const repository = new AuditRepository(database);
    const tokens = new PageTokens(config.PAGE_TOKEN_SECRET);
    this.registration = register(AuditService, new AuditApi(repository, tokens, reveal));
    const service = config.SERVICE_NAME ?? options.service;
    const lines = new AuditStream({ service, format: config.LOG_FORMAT, stream: output });
    this.#publisher = new AuditPublisher({ repository, stream: lines, registry, log });
  }

  /** Begins to publish. */
  start(): void {
    this.#publisher.start();
  }

  /** Ends the publication; what is not published is another process', or the next one's. */
  async stop(): Promise<void> {
    await this.#publisher.stop();
  }
}
