// A shop that moves to us: its customers, orders, payments and stock, as lines of a file.

const street = { lines: ["1 Dorset Street"], city: "London", postalCode: "W1U 4EG", country: "GB" };

/** A line: one record under the name of its kind. */
export type Line = Readonly<Record<string, unknown>>;

/** Whoever was the n-th customer. */
export function customerLine(n: number, changes: object = {}): Line {
  const time = "2019-03-01T10:00:00Z";
  const name = { givenName: `Given${n}`, familyName: `Family${n}` };
  return { customer: { externalId: `C-${n}`, ...name, email: `c${n}@old.example`, createTime: time, ...changes } };
}

const eur = (amount: number) => ({ currency: "EUR", amount: String(amount) });

/** The n-th order, of a customer of the same number unless another one is named: two articles, delivery, and a discount. */
export function orderLine(n: number, changes: object = {}): Line {
  const day = String(1 + (n % 28)).padStart(2, "0");
  return {
    order: {
      externalId: `O-${n}`,
      customerExternalId: `C-${n}`,
      status: "ORDER_STATUS_DELIVERED",
      lines: [
        { sku: "espresso-cup", quantity: 2, unitPrice: eur(950) },
        { sku: `book-${n % 10}`, quantity: 1, unitPrice: eur(1_200) },
      ],
      adjustments: [
        { kind: "PRICE_ADJUSTMENT_KIND_SHIPPING", name: "Standard delivery", amount: eur(490) },
        { kind: "PRICE_ADJUSTMENT_KIND_DISCOUNT", name: "SPRING10", amount: eur(-310) },
      ],
      total: eur(3_280),
      shippingAddress: { recipient: `Given${n} Family${n}`, ...street },
      createTime: `2021-05-${day}T08:30:00.250Z`,
      confirmTime: `2021-05-${day}T08:31:00Z`,
      shipTime: `2021-05-${day}T15:00:00Z`,
      endTime: `2021-06-02T11:00:00Z`,
      ...changes,
    },
  };
}

/** What was paid for the n-th order. */
export function paymentLine(n: number, changes: object = {}): Line {
  return {
    payment: {
      externalId: `P-${n}`,
      orderExternalId: `O-${n}`,
      provider: "stripe",
      providerReference: `pi_${n}`,
      captured: eur(3_280),
      captureTime: "2021-06-01T12:00:00Z",
      ...changes,
    },
  };
}

/** What of the n-th article lies in Leeds. */
export function stockLine(n: number, changes: object = {}): Line {
  return { stock: { sku: `book-${n}`, locationId: "leeds", onHand: "40", ...changes } };
}

/** All of it for so many customers, each with an order, of which every fifth was cancelled and given back. */
export function* shopLines(customers: number): Generator<Line> {
  for (let n = 1; n <= customers; n += 1) {
    yield customerLine(n);
    const cancelled = n % 5 === 0;
    yield orderLine(n, cancelled ? { status: "ORDER_STATUS_CANCELLED", shipTime: undefined } : {});
    yield paymentLine(n, cancelled ? { refunded: eur(3_280), refundTime: "2021-06-03T09:00:00Z" } : {});
  }
  for (let n = 0; n < 10; n += 1) yield stockLine(n);
}

/** As a file has them. */
export function toText(lines: Iterable<Line>): string {
  let text = "";
  for (const line of lines) text += `${JSON.stringify(line)}\n`;
  return text;
}
