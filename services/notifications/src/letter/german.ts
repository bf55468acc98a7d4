import type { Words } from "./words.ts";

/** Why an order came to nothing, by its reason. */
const reasons: Readonly<Record<string, string>> = {
  OUT_OF_STOCK: "Einer der Artikel ist ausverkauft.",
  HOLD_EXPIRED: "Einer der Artikel war ausverkauft, bevor die Bestellung abgeschlossen werden konnte.",
  UNKNOWN_SKU: "Einen der Artikel bieten wir nicht mehr an.",
  TOO_MANY_LOCATIONS: "So viele Stücke können wir nicht in einer Bestellung versenden. Bitte bestellen Sie weniger.",
  PAYMENT_DECLINED: "Die Karte wurde abgelehnt. Bitte versuchen Sie es mit einer anderen.",
  INSUFFICIENT_FUNDS: "Die Karte deckt den Betrag nicht. Bitte versuchen Sie es mit einer anderen.",
  ORDER_NOT_ACCEPTED:
    "Wir können diese Bestellung nicht annehmen. Bitte fragen Sie uns, wenn Sie das für falsch halten.",
  REVIEW_EXPIRED: "Wir konnten die Bestellung nicht rechtzeitig prüfen. Bitte bestellen Sie noch einmal.",
  SERVICE_UNAVAILABLE: "Wir konnten die Bestellung nicht bearbeiten. Bitte versuchen Sie es später noch einmal.",
  SHIPPING_FAILED: "Die Bestellung konnte nicht versandt werden.",
  LOST_IN_TRANSIT: "Sie ist unterwegs verloren gegangen.",
  RETURNED_TO_SENDER: "Sie konnte nicht zugestellt werden und kam zu uns zurück.",
};

/** German. */
export const german: Words = {
  greeting: (name) => (name === "" ? "Guten Tag," : `Guten Tag ${name},`),
  closing: (shopName) => `Freundliche Grüße, ${shopName}`,
  letters: {
    order_confirmed: ({ orderId, day, total }) => ({
      subject: `Ihre Bestellung ${orderId} ist bestätigt`,
      paragraphs: [
        `Vielen Dank. Ihre Bestellung ${orderId} vom ${day} ist bestätigt. Sie kostet ${total}.`,
        "Wir packen für Sie:",
      ],
      lists: "order",
    }),
    order_delayed: ({ orderId }) => ({
      subject: `Ihre Bestellung ${orderId} dauert länger`,
      paragraphs: [
        `Etwas aus Ihrer Bestellung ${orderId} ist nicht vorrätig. Sie wartet, bis es da ist; dann hören Sie von uns.`,
        "Bis dahin buchen wir nichts ab. Sie können die Bestellung jederzeit stornieren.",
      ],
    }),
    order_changed: ({ orderId, total, isCut }) => ({
      subject: isCut
        ? `Ein Teil Ihrer Bestellung ${orderId} ist nicht lieferbar`
        : `Ihre Bestellung ${orderId} wurde geändert`,
      paragraphs: [
        isCut
          ? `Nicht alles aus Ihrer Bestellung ${orderId} war da. Was fehlt, wird nicht berechnet.`
          : `Ihre Bestellung ${orderId} wurde geändert.`,
        `Sie kostet jetzt ${total} und besteht aus:`,
      ],
      lists: "order",
    }),
    order_rejected: ({ orderId, reason }) => ({
      subject: `Ihre Bestellung ${orderId} konnte nicht angenommen werden`,
      paragraphs: [
        `Ihre Bestellung ${orderId} ist nicht zustande gekommen. ${reasons[reason] ?? ""}`.trim(),
        "Es wurde nichts abgebucht.",
      ],
    }),
    order_cancelled: ({ orderId, reason }) => ({
      subject: `Ihre Bestellung ${orderId} ist storniert`,
      paragraphs: [
        `Ihre Bestellung ${orderId} ist storniert. ${reasons[reason] ?? ""}`.trim(),
        "Was dafür abgebucht wurde, zahlen wir zurück; was auf Ihrer Karte reserviert war, wird frei.",
      ],
    }),
    parcel_shipped: ({ orderId, tracking, isOnlyParcel }) => ({
      subject: isOnlyParcel
        ? `Ihre Bestellung ${orderId} ist unterwegs`
        : `Ein Paket Ihrer Bestellung ${orderId} ist unterwegs`,
      paragraphs: [
        `${isOnlyParcel ? "Ihre Bestellung" : "Ein Paket Ihrer Bestellung"} ${orderId} hat unser Lager verlassen.`,
        tracking === "" ? "" : `Die Sendungsnummer ist ${tracking}.`,
        "Das ist darin:",
      ],
      lists: "parcel",
    }),
    parcel_delivered: ({ orderId, tracking, isOnlyParcel }) => ({
      subject: isOnlyParcel
        ? `Ihre Bestellung ${orderId} ist angekommen`
        : `Ein Paket Ihrer Bestellung ${orderId} ist angekommen`,
      paragraphs: [
        tracking === "" ? "Das Paket wurde zugestellt." : `Das Paket ${tracking} wurde zugestellt.`,
        "Das war darin:",
      ],
      lists: "parcel",
    }),
    parcel_lost: ({ orderId, amount }) => ({
      subject: `Ein Paket Ihrer Bestellung ${orderId} ist verloren gegangen`,
      paragraphs: [
        `Ein Paket Ihrer Bestellung ${orderId} ist unterwegs verloren gegangen. Das tut uns leid.`,
        amount === "" ? "Was es gekostet hat, zahlen wir zurück." : `Wir zahlen ${amount} zurück.`,
      ],
      lists: "parcel",
    }),
    payment_refunded: ({ orderId, amount }) => {
      const what = amount === "" ? "einen Betrag" : amount;
      return {
        subject: `Wir haben ${what} für Ihre Bestellung ${orderId} zurückgezahlt`,
        paragraphs: [
          `Wir haben ${what} für Ihre Bestellung ${orderId} zurückgezahlt, auf die Karte, mit der bezahlt wurde.`,
          "Bis Ihre Bank es anzeigt, kann es einige Tage dauern.",
        ],
      };
    },
    return_received: ({ orderId, amount, pieces }) => ({
      subject: `Ihre Rücksendung zur Bestellung ${orderId} ist angekommen`,
      paragraphs: [
        pieces === 1
          ? `Ein Stück aus Ihrer Bestellung ${orderId} ist bei uns angekommen.`
          : `${pieces} Stück aus Ihrer Bestellung ${orderId} sind bei uns angekommen.`,
        amount === ""
          ? ""
          : `Das sind ${amount}, die wir zurückzahlen oder auf das anrechnen, was Sie stattdessen wollten.`,
      ],
    }),
  },
};
