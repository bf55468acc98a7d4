import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { startService } from "#platform/process/service.ts";
import { paymentsConfig, refundsTogether } from "./config.ts";
import { importCommand } from "./import/import-command.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { entities } from "./payment/payment.entity.ts";
import { buildPayments } from "./payments.ts";

await startService({
  name: "payments",
  config: paymentsConfig,
  together: refundsTogether,
  database: { entities, migrations, readable },
  commands: { import: importCommand },
  build: ({ config, database, logger, output, registry, client }) =>
    buildPayments({
      config,
      database,
      logger,
      output,
      registry,
      connector: client(GatewayConnectorService, config.GATEWAY_CONNECTOR_ADDRESS),
    }),
});
