import { startService } from "#platform/process/service.ts";
import { stripe } from "./stripe.ts";

await startService(stripe);
