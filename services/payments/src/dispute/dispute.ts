/** Where a dispute stands. */
export type DisputeState = "open" | "won" | "lost";

/** What a card's owner wants back from the bank, as it stands. */
export interface Dispute {
  /** What the gateway calls it. */
  readonly disputeId: string;
  readonly paymentId: string;
  /** Empty when no order is paid. */
  readonly orderId: string;
  readonly state: DisputeState;
  readonly reason: string;
  readonly currency: string;
  readonly amount: bigint;
  /** Until when it has to be answered; undefined where it cannot be, has been, or nobody knows. */
  readonly respondByTime: Date | undefined;
  readonly createTime: Date;
  readonly updateTime: Date;
}
