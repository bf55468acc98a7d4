import { orderAlerts, paymentAlerts } from "./alerts/orders.ts";
import { type Alert, isAlert, type RuleGroup } from "./alerts/rule.ts";
import { sagaAlerts } from "./alerts/sagas.ts";
import { serviceAlerts } from "./alerts/services.ts";
import { telemetryAlerts } from "./alerts/telemetry.ts";
import { recordingGroups } from "./recordings.ts";
import { sloGroups } from "./slo.ts";

/** Every rule of ours. Recordings come before what uses them. */
export const ruleGroups: readonly RuleGroup[] = [
  ...recordingGroups,
  ...sloGroups,
  orderAlerts,
  paymentAlerts,
  sagaAlerts,
  serviceAlerts,
  telemetryAlerts,
];

/** Every alert of ours. */
export const alerts: readonly Alert[] = ruleGroups.flatMap(({ rules }) => rules.filter(isAlert));
