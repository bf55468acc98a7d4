// A process of the test service, as the tests of starting and stopping run it.
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { register, startService } from "#platform/process/service.ts";
import { Conformance } from "../faces/conformance.ts";

await startService({
  name: "fixture",
  config: {},
  build: ({ logger }) => {
    process.on("SIGHUP", () => {
      throw new Error("nobody foresaw this");
    });
    process.on("SIGWINCH", () => {
      process.emitWarning("something is old");
      setImmediate(() => logger.info("warned"));
    });
    return {
      services: [register(ConformanceService, new Conformance())],
      stop: async () => {
        logger.info("background work stopped");
      },
    };
  },
});
