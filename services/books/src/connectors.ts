import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { ServiceTokens } from "#platform/authorization/service-tokens.ts";
import { Clients } from "#platform/grpc/clients.ts";
import type { Logger } from "#platform/log/logger.ts";
import { TlsFiles } from "#platform/tls/tls-files.ts";
import type { CarrierList } from "./balance/carrier-reader.ts";
import type { GatewayList } from "./balance/gateway-reader.ts";
import type { BooksConfig } from "./config.ts";

/** The name under which `SERVICE_KEYS` knows the books. */
const name = "books";
/** More than a thousand operations or parcels are. */
const maxMessageBytes = 4 * 1024 * 1024;
const timeoutMs = 30_000;

/** Connections to the connectors of card gateway and carrier. */
export interface OpenedConnectors extends Disposable {
  readonly gateway: GatewayList;
  readonly carrier: CarrierList;
}

/** Opens them; connects with the first call. @throws ConfigError when the files of TLS are of no use */
export async function openConnectors(config: BooksConfig, logger: Logger): Promise<OpenedConnectors> {
  const { SERVICE_KEY: key } = config;
  const tokens = key && (await ServiceTokens.open(name, key, logger));
  const tls = TlsFiles.open(config, logger);
  const clients = new Clients({
    service: name,
    ...(tokens && { authorization: () => tokens.authorization }),
    defaultTimeoutMs: timeoutMs,
    maxMessageBytes,
    tls,
  });
  return {
    gateway: clients.client(GatewayConnectorService, config.GATEWAY_CONNECTOR_ADDRESS),
    carrier: clients.client(CarrierConnectorService, config.CARRIER_CONNECTOR_ADDRESS),
    [Symbol.dispose]() {
      clients.close();
      tls?.[Symbol.dispose]();
      tokens?.[Symbol.dispose]();
    },
  };
}
