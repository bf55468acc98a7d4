import type { Activities } from "../workflows/step-table.ts";
import { asActivity } from "./attempt.ts";
import type { ServiceClients } from "./clients.ts";
import * as inventory from "./inventory.ts";
import type { LongListPolicy } from "./long-batch.ts";
import type { SagaMetrics } from "./metrics.ts";
import * as orders from "./orders.ts";
import * as payments from "./payments.ts";
import * as shipping from "./shipping.ts";

/** The activities of the saga. Each takes a list, makes one call of a service, and answers for each entry. */
export function createActivities(clients: ServiceClients, long: LongListPolicy, metrics: SagaMetrics): Activities {
  return {
    reserveStock: asActivity("reserveStock", metrics, (entries) => inventory.reserveStock(clients, entries)),
    releaseStock: asActivity("releaseStock", metrics, (entries) => inventory.releaseStock(clients, entries)),
    commitStock: asActivity("commitStock", metrics, (entries) => inventory.commitStock(clients, entries)),
    authorizePayment: asActivity("authorizePayment", metrics, (entries) => payments.authorizePayment(clients, entries)),
    voidPayment: asActivity("voidPayment", metrics, (entries) => payments.voidPayment(clients, entries)),
    capturePayment: asActivity("capturePayment", metrics, (entries) => payments.capturePayment(clients, entries)),
    refundPayment: asActivity("refundPayment", metrics, (entries) => payments.refundPayment(clients, entries)),
    confirmOrder: asActivity("confirmOrder", metrics, (entries) => orders.confirmOrder(clients, entries)),
    transitionOrder: asActivity("transitionOrder", metrics, (entries) => orders.transitionOrder(clients, entries)),
    prepareShipment: asActivity("prepareShipment", metrics, (entries) =>
      shipping.prepareShipment(clients, entries, long),
    ),
    bookShipment: asActivity("bookShipment", metrics, (entries) => shipping.bookShipment(clients, entries, long)),
    cancelShipment: asActivity("cancelShipment", metrics, (entries) => shipping.cancelShipment(clients, entries)),
    lookShipment: asActivity("lookShipment", metrics, (entries) => shipping.lookShipment(clients, entries)),
  };
}
