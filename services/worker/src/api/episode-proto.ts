import { timestampMs } from "@bufbuild/protobuf/wkt";
import type {
  EpisodeAmendment,
  EpisodeCheckout,
  EpisodeEvent,
  EpisodeOrder,
  EpisodeReturn,
  SagaOrderLine,
} from "#gen/shop/sagas/v1/saga_pb.js";
import type { Address as AddressProto } from "#gen/shop/type/v1/address_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { parseTraceParent } from "#platform/trace-parent.ts";
import type { Address, OrderLine } from "../workflows/order/order-types.ts";
import type { Amendment, CameBack, CarriedOrder, Checkout, OrderEvent } from "../workflows/order-state.ts";
import { readSaga } from "./saga-state.ts";

/**
 * An order of the contract as plain JSON for a workflow. Amounts are at most 10^12: a number holds them exactly.
 *
 * @throws SAGA_UNREADABLE
 */
export function toCarriedOrder(order: EpisodeOrder): CarriedOrder {
  const { orderId, customerId, total, createTime, traceparent, saga, events } = order;
  const { checkout, confirmed, returns, amendment, recall, labels, fence, credits } = order;
  return {
    orderId,
    customerId,
    total: { currency: total?.currency ?? "", amount: Number(total?.amount ?? 0n) },
    createTime: createTime ? timestampMs(createTime) : 0,
    // One that is not kept would be carried through the whole history for nothing.
    traceparent: parseTraceParent(traceparent)?.sampled ? traceparent : "",
    confirmed,
    ...(fence > 0 && { fence }),
    events: events.flatMap(toEvent),
    ...(saga !== "" && { saga: readSaga(orderId, saga) }),
    ...(checkout && { checkout: toCheckout(checkout) }),
    ...(amendment && { amendment: toAmendment(amendment, order) }),
    ...(returns.length > 0 && { returns: returns.map(toCameBack) }),
    ...(recall && { recalled: recall.locationIds }),
    ...(labels.length > 0 && { labels: labels.map(({ returnId, locationId }) => ({ returnId, locationId })) }),
    ...(credits.length > 0 && { credits: credits.map(Number) }),
  };
}

function toCameBack({ returnId, parts, amount, grantedBy, parcelLocationId, exchange }: EpisodeReturn): CameBack {
  const shelved = parts.map(({ sku, locationId, quantity }) => ({ sku, locationId, quantity }));
  return {
    returnId,
    parts: shelved,
    amount: Number(amount),
    ...(grantedBy && { grantedBy }),
    ...(parcelLocationId && { parcelLocationId }),
    ...(exchange && { exchange: { orderId: exchange.orderId, credit: Number(exchange.credit) } }),
  };
}

function toAmendment(amendment: EpisodeAmendment, order: EpisodeOrder): Amendment {
  const { number, accepted, lines, total = order.total, shippingAddress, cardToken } = amendment;
  return {
    number,
    accepted,
    ...(lines.length > 0 && { lines: lines.map(toLine) }),
    total: { currency: total?.currency ?? "", amount: Number(total?.amount ?? 0n) },
    ...(shippingAddress && { address: toAddress(shippingAddress) }),
    cardToken,
  };
}

function toAddress({ recipient, lines, city, postalCode, country }: AddressProto): Address {
  return { recipient, lines, city, postalCode, country };
}

const waiting: ReadonlySet<ShortagePolicy> = new Set([ShortagePolicy.BACK_ORDER, ShortagePolicy.SHIP_AND_BACK_ORDER]);
const partial: ReadonlySet<ShortagePolicy> = new Set([
  ShortagePolicy.SHIP_AVAILABLE,
  ShortagePolicy.SHIP_AND_BACK_ORDER,
]);

function toCheckout(checkout: EpisodeCheckout): Checkout {
  const { lines, shippingAddress, cardToken, screen, shortagePolicy, asked } = checkout;
  const { recipient = "", lines: street = [], city = "", postalCode = "", country = "" } = shippingAddress ?? {};
  return {
    lines: lines.map(toLine),
    address: { recipient, lines: street, city, postalCode, country },
    cardToken,
    ...(screen && { screen }),
    ...(waiting.has(shortagePolicy) && { backOrder: true }),
    ...(partial.has(shortagePolicy) && { shipAvailable: true }),
    ...(asked.length > 0 && { asked: asked.map(({ sku, quantity }) => ({ sku, quantity })) }),
  };
}

function toLine({ sku, quantity, unitPrice, amount }: SagaOrderLine): OrderLine {
  return { sku, quantity, unitPrice: Number(unitPrice), ...(amount !== undefined && { amount: Number(amount) }) };
}

/** Nothing for an event that this version does not know. */
function toEvent({ event }: EpisodeEvent): OrderEvent[] {
  switch (event.case) {
    case "placed":
      return [{ kind: "placed" }];
    case "shipment": {
      const { locationId, news, trackingNumber, generation } = event.value;
      return [{ kind: "shipment", locationId, news, trackingNumber, ...(generation > 0 && { generation }) }];
    }
    case "cancellation":
      return [{ kind: "cancellation", reason: event.value.reason }];
    case "decision": {
      const { step, resolved } = event.value;
      return [{ kind: "decision", step, resolved }];
    }
    case "retry":
      return [{ kind: "retry" }];
    case "amendment":
      return [{ kind: "amendment" }];
    default:
      return [];
  }
}
