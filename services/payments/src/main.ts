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
  build: buildPayments,
});
