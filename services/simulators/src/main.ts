import { startService } from "#platform/process/service.ts";
import { simulators } from "./simulators.ts";

await startService(simulators);
