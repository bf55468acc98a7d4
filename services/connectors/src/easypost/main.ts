import { startService } from "#platform/process/service.ts";
import { easypost } from "./easypost.ts";

await startService(easypost);
