import type { Money } from "#gen/shop/type/v1/money_pb.js";
import { currencyDigits } from "#platform/currency.ts";

/** An amount of whole minor units, without rounding: `120.30`. */
function decimal(amount: bigint, digits: number): Intl.StringNumericLiteral {
  const sign = amount < 0n ? "-" : "";
  const all = (amount < 0n ? -amount : amount).toString().padStart(digits + 1, "0");
  const whole = all.slice(0, all.length - digits);
  return (digits === 0 ? `${sign}${all}` : `${sign}${whole}.${all.slice(-digits)}`) as Intl.StringNumericLiteral;
}

/** An amount as people of a place write it. The digits are those of the contract, which are not always those that Intl takes. */
export function moneyText({ currency, amount }: Pick<Money, "currency" | "amount">, locale: string): string {
  const digits = currencyDigits.get(currency) ?? 2;
  const format = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return new Intl.NumberFormat(locale, format).format(decimal(amount, digits));
}
