import type { SignedMoney } from "#gen/shop/type/v1/money_pb.js";

/** Minor units with two decimals, which holds for the euro; empty for nothing. */
export function formatMoney(money: Pick<SignedMoney, "amount" | "currency"> | undefined): string {
  if (!money) return "";
  const { amount, currency } = money;
  const digits = (amount < 0n ? -amount : amount).toString().padStart(3, "0");
  return `${amount < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)} ${currency}`;
}
