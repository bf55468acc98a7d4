import { startService } from "#platform/process/service.ts";
import { workerConfig } from "./config.ts";
import { payloadsTogether } from "./payloads/payload-config.ts";
import { buildWorker } from "./worker.ts";

await startService({
  name: "worker",
  config: workerConfig,
  together: payloadsTogether,
  build: ({ config, logger, registry, client }) => buildWorker({ config, logger, registry, client }),
});
