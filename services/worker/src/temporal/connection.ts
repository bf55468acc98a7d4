import { setTimeout as pause } from "node:timers/promises";
import { NativeConnection } from "@temporalio/worker";
import { StartError } from "#platform/process/startup.ts";
import {
  customerIdsAttribute,
  orderIdsAttribute,
  parkedOrderIdsAttribute,
} from "../workflows/engine/search-attributes.ts";
import { protectionOf } from "./protection.ts";
import type { TemporalConfig } from "./temporal-config.ts";

const attributes = [orderIdsAttribute, customerIdsAttribute, parkedOrderIdsAttribute];

/** Pause between two attempts to connect, in milliseconds. */
const connectPauseMs = 250;
/** INDEXED_VALUE_TYPE_KEYWORD_LIST in temporal/api/enums/v1/common.proto: the type of all our attributes. */
const keywordList = 7;
/** gRPC's number for "already exists". */
const alreadyExists = 6;

/** Connects to Temporal, as often as it takes within the configured time. @throws StartError, ConfigError */
export async function connect(config: TemporalConfig): Promise<NativeConnection> {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_TIMEOUT_MS: timeoutMs } = config;
  const protection = protectionOf(config);
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await NativeConnection.connect({ address, ...protection });
    } catch (cause) {
      if (Date.now() + connectPauseMs >= deadline) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new StartError(
          `Temporal at ${address} is not reached within ${timeoutMs} ms (TEMPORAL_ADDRESS): ${why}`,
          {
            cause,
          },
        );
      }
      await pause(connectPauseMs);
    }
  }
}

/** Makes the search attributes known to the namespace. Those that are known already are left alone. */
export async function registerSearchAttributes(connection: NativeConnection, config: TemporalConfig): Promise<void> {
  const { TEMPORAL_NAMESPACE: namespace, TEMPORAL_TIMEOUT_MS: timeoutMs } = config;
  await connection.withDeadline(Date.now() + timeoutMs, async () => {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = attributes.filter(({ name }) => !(name in (customAttributes ?? {})));
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map(({ name }) => [name, keywordList]));
    try {
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
    } catch (error) {
      // Another worker was faster.
      if (!(error instanceof Error && "code" in error && error.code === alreadyExists)) throw error;
    }
  });
}
