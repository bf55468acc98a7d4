import type { Activities } from "../workflows/step-types.ts";
import type { ServiceClients } from "./clients.ts";
import * as inventory from "./inventory.ts";
import { inTrace } from "./list-call.ts";
import type { LongListPolicy } from "./long-list.ts";
import * as orders from "./orders.ts";
import * as payments from "./payments.ts";
import * as shipping from "./shipping.ts";

/** The activities of the saga. Each takes a list, makes one call of a service, and answers for each entry. */
export function createActivities(clients: ServiceClients, long: LongListPolicy): Activities {
  return {
    reserveStock: inTrace((entries) => inventory.reserveStock(clients, entries)),
    releaseStock: inTrace((entries) => inventory.releaseStock(clients, entries)),
    commitStock: inTrace((entries) => inventory.commitStock(clients, entries)),
    authorizePayment: inTrace((entries) => payments.authorizePayment(clients, entries)),
    voidPayment: inTrace((entries) => payments.voidPayment(clients, entries)),
    capturePayment: inTrace((entries) => payments.capturePayment(clients, entries)),
    refundPayment: inTrace((entries) => payments.refundPayment(clients, entries)),
    confirmOrder: inTrace((entries) => orders.confirmOrder(clients, entries)),
    transitionOrder: inTrace((entries) => orders.transitionOrder(clients, entries)),
    prepareShipment: inTrace((entries) => shipping.prepareShipment(clients, entries, long)),
    bookShipment: inTrace((entries) => shipping.bookShipment(clients, entries, long)),
    cancelShipment: inTrace((entries) => shipping.cancelShipment(clients, entries)),
    lookShipment: inTrace((entries) => shipping.lookShipment(clients, entries)),
  };
}
