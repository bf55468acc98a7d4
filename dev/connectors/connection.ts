import { type Client, ConnectError } from "@connectrpc/connect";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { ServiceTokens } from "#platform/authorization/service-tokens.ts";
import { type ConfigOf, platformConfig } from "#platform/config.ts";
import { Clients } from "#platform/grpc/clients.ts";
import type { Secret } from "#platform/secret.ts";
import type { TlsFiles } from "#platform/tls/tls-files.ts";
import { StackError } from "../errors.ts";
import { isRefusedCaller } from "./promises.ts";

/** What a connector that asks who calls is shown, by the environment: no key is seen among the arguments of a process. */
export const connectionConfig = {
  /** The key of whoever has the connector work: payments, or shipping. */
  SERVICE_KEY: platformConfig.SERVICE_KEY,
  /** The key of the books, which have everything listed. */
  BOOKS_SERVICE_KEY: platformConfig.SERVICE_KEY,
};

interface ConnectionOptions {
  readonly address: string;
  readonly keys: ConfigOf<typeof connectionConfig>;
  readonly tls: TlsFiles | undefined;
}

const limits = { defaultTimeoutMs: 30_000, maxMessageBytes: 8 * 1024 * 1024 };

/** Connections to one connector, as payments or shipping and the books have them. */
export class Connection implements Disposable {
  readonly #options: ConnectionOptions;
  readonly #opened = new DisposableStack();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  async gateway(): Promise<Client<typeof GatewayConnectorService>> {
    const [payments, books] = [await this.#as("payments", "SERVICE_KEY"), await this.#as("books", "BOOKS_SERVICE_KEY")];
    const { address } = this.#options;
    const { listOperations } = books.client(GatewayConnectorService, address);
    return { ...payments.client(GatewayConnectorService, address), listOperations };
  }

  async carrier(): Promise<Client<typeof CarrierConnectorService>> {
    const [shipping, books] = [await this.#as("shipping", "SERVICE_KEY"), await this.#as("books", "BOOKS_SERVICE_KEY")];
    const { address } = this.#options;
    const { listParcels } = books.client(CarrierConnectorService, address);
    return { ...shipping.client(CarrierConnectorService, address), listParcels };
  }

  async warehouse(): Promise<Client<typeof WarehouseConnectorService>> {
    const shipping = await this.#as("shipping", "SERVICE_KEY");
    return shipping.client(WarehouseConnectorService, this.#options.address);
  }

  /** Clients that prove that they are this service. @throws StackError when its key signs nothing */
  async #as(service: string, variable: keyof typeof connectionConfig): Promise<Clients> {
    const { keys, tls } = this.#options;
    const tokens = await signing(service, variable, keys[variable]);
    if (tokens) this.#opened.use(tokens);
    const refusal = (error: ConnectError) => explained(error, { service, variable, isShown: tokens !== undefined });
    const authorization = tokens && { authorization: () => tokens.authorization };
    return this.#opened.adopt(new Clients({ ...limits, ...authorization, refusal, tls }), (clients) => clients.close());
  }

  [Symbol.dispose](): void {
    this.#opened.dispose();
  }
}

async function signing(service: string, variable: string, key: Secret | undefined): Promise<ServiceTokens | undefined> {
  try {
    // A key from a file is read once: a trial is over before anybody has changed it.
    return key && (await ServiceTokens.open(service, key, { error: () => undefined }));
  } catch {
    throw new StackError(
      `${variable} signs nothing: it has to be the private half of the key of ${service}, as a JWK.`,
    );
  }
}

interface Shown {
  readonly service: string;
  readonly variable: string;
  readonly isShown: boolean;
}

/** The same refusal, with what to do about it. */
function explained(error: ConnectError, { service, variable, isShown }: Shown): ConnectError {
  if (!isRefusedCaller(error)) return error;
  const what = isShown
    ? `it does not take the key in ${variable} as that of ${service} (${error.rawMessage}): its SERVICE_KEYS has to have the public half, with the kid "${service}"`
    : `it asks who calls: name the file with the key of ${service} by ${variable}_FILE`;
  return new ConnectError(what, error.code, undefined, undefined, error);
}
