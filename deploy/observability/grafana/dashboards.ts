import { database } from "./dashboards/database.ts";
import { moneyAndStock } from "./dashboards/money-and-stock.ts";
import { orders } from "./dashboards/orders.ts";
import { overview } from "./dashboards/overview.ts";
import { telemetry } from "./dashboards/telemetry.ts";
import { temporal } from "./dashboards/temporal.ts";

/** All dashboards, as Grafana takes them. */
export const dashboards = [overview, orders, moneyAndStock, database, temporal, telemetry].map((one) => one.build());

/** The files that are made from them, by their path in this folder. */
export const dashboardFiles: Readonly<Record<string, string>> = Object.fromEntries(
  dashboards.map((one) => [`json/${one.uid}.json`, `${JSON.stringify(one, null, 2)}\n`]),
);
