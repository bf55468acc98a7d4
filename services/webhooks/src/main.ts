import { startService } from "#platform/process/service.ts";
import { webhooksConfig } from "./config.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { buildWebhooks } from "./webhooks.ts";

await startService({
  name: "webhooks",
  config: webhooksConfig,
  database: { entities: [], migrations, readable, requestIds: false },
  build: buildWebhooks,
});
