import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../deploy/command/checkout.ts";
import type { Service } from "../services/services.ts";

/**
 * What a service reads from its environment, by variable: `<name>Config` in its config.ts.
 * @throws Error when it exports nothing of that name
 */
export async function configOf(service: Service): Promise<object> {
  const path = `services/${service}/src/config.ts`;
  const module = (await import(pathToFileURL(join(root, path)).href)) as Readonly<Record<string, unknown>>;
  const config = module[`${service}Config`];
  if (typeof config !== "object" || config === null) throw new Error(`${path} exports no ${service}Config`);
  return config;
}
