import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Order, OrderShipment } from "#gen/shop/orders/v1/order_pb.js";
import type { Letter } from "#platform/mail/letter.ts";
import type { Draft, Language } from "../notification/notification.ts";
import { english } from "./english.ts";
import { german } from "./german.ts";
import type { Spoken } from "./language.ts";
import { moneyText } from "./money-text.ts";
import type { Told, Words } from "./words.ts";

/** Who is written to, and how. */
export interface Reader extends Spoken {
  /** As the mail is to greet; empty: without a name. */
  readonly name: string;
  readonly timeZone: string;
  readonly shopName: string;
}

const words: Readonly<Record<Language, Words>> = { en: english, de: german };

/** What a carrier's number looks like; anything else is not shown, because nobody here has written it. */
const trackingNumber = /^[A-Za-z0-9][A-Za-z0-9 ._-]{2,63}$/;

/** What a notification says of an order as it is. */
export function letterOf(draft: Draft, order: Order, reader: Reader): Letter {
  const { language, name, shopName } = reader;
  const { greeting, closing, letters } = words[language];
  const told = toldOf(draft, order, reader);
  const { subject, paragraphs, lists = "none" } = letters[draft.kind](told);
  const items = lists === "order" ? order.lines : lists === "parcel" ? (parcelOf(draft, order)?.lines ?? []) : [];
  return {
    subject,
    greeting: greeting(name),
    paragraphs: paragraphs.filter((text) => text !== ""),
    items: items.map(({ sku, quantity }) => `${quantity} × ${sku}`),
    closing: closing(shopName),
  };
}

function toldOf(draft: Draft, order: Order, { locale, timeZone }: Reader): Told {
  const { currency, amount, reason, pieces, isCut } = draft.facts;
  const money = currency === undefined || amount === undefined ? undefined : { currency, amount: BigInt(amount) };
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone });
  const carried = parcelOf(draft, order)?.trackingNumber ?? "";
  return {
    orderId: order.orderId,
    day: order.createTime ? day.format(timestampDate(order.createTime)) : "",
    total: order.total ? moneyText(order.total, locale) : "",
    amount: money ? moneyText(money, locale) : "",
    tracking: trackingNumber.test(carried) ? carried : "",
    isOnlyParcel: order.shipments.length === 1,
    reason: reason ?? order.failure?.reason ?? "",
    pieces: pieces ?? 0,
    isCut: isCut ?? false,
  };
}

function parcelOf({ about }: Draft, { shipments }: Order): OrderShipment | undefined {
  return shipments.find(({ shipmentId, locationId }) => about !== "" && (shipmentId === about || locationId === about));
}
