import { startService } from "#platform/process/service.ts";
import { identityConfig, identityTogether } from "./config.ts";
import { buildIdentity } from "./identity.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";

await startService({
  name: "identity",
  config: identityConfig,
  together: identityTogether,
  database: { entities: [], migrations, readable },
  build: buildIdentity,
});
