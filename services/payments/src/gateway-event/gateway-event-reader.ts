import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import type { Logger } from "#platform/log/logger.ts";
import type { GatewayEventRepository } from "./gateway-event.repository.ts";
import type { GatewayEvent } from "./gateway-event.ts";
import { isPosition, toGatewayEvent } from "./gateway-event-proto.ts";

/** What a reader of events works with. */
export interface GatewayEventReaderOptions {
  readonly connector: Pick<Client<typeof GatewayConnectorService>, "listEvents">;
  readonly events: Pick<GatewayEventRepository, "position" | "take" | "takeWaiting">;
  /** For one call, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** Events that are read at once. */
const pageSize = 256;

/** Reads what happened at the gateway by itself, from where it was read to. */
export class GatewayEventReader {
  readonly #options: GatewayEventReaderOptions;

  constructor(options: GatewayEventReaderOptions) {
    this.#options = options;
  }

  /**
   * Takes what was put aside and waits no more, reads one page, and returns how many events were new: behind those there may be more, and what has to wait is no reason to
   * read again at once. For a `Relay`, which slows down while it fails.
   */
  async read(signal?: AbortSignal): Promise<number> {
    const decided = this.#tell(await this.#options.events.takeWaiting(pageSize));
    return decided + (await this.#readPage(signal));
  }

  async #readPage(signal?: AbortSignal): Promise<number> {
    const { connector, events, timeoutMs, log } = this.#options;
    const after = await events.position();
    const listed = await this.#list(() => connector.listEvents({ after, limit: pageSize }, { timeoutMs, signal }));
    const last = listed.at(-1)?.position;
    if (last === undefined) return 0;
    if (!isPosition(last)) throw new Error("the gateway's connector lists an event that cannot be read on behind");
    const understood = listed.map(toGatewayEvent).filter((event) => event !== undefined);
    const left = listed.length - understood.length;
    if (left > 0) log.error("events of the gateway's connector are not understood, and left", { count: left });
    return this.#tell(await events.take(understood, { after, to: last }));
  }

  #tell(taken: readonly GatewayEvent[]): number {
    for (const { eventId, happening } of taken) {
      this.#options.log.warn("something happened at the gateway by itself", {
        "event.id": eventId,
        kind: happening.kind,
      });
    }
    return taken.length;
  }

  /** Many gateways tell of nothing. */
  async #list(ask: () => ReturnType<GatewayEventReaderOptions["connector"]["listEvents"]>) {
    try {
      return (await ask()).events.slice(0, pageSize);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unimplemented) return [];
      throw error;
    }
  }
}
