import { type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { alreadyPacked, packingFailed, shipmentCancelled, shipmentNotFound } from "../shipment/errors.ts";
import type { ShipmentRepository } from "../shipment/shipment.repository.ts";
import { isTombstone, type Shipment } from "../shipment/shipment.ts";
import type { PackingRepository } from "./packing.repository.ts";
import type { PackingState } from "./warehouse.ts";

/** Why a shipment cannot be packed, and how its failure says it. */
const shortReasons = {
  MISSING: "there is less on the shelf than there should be",
  DAMAGED: "what is on the shelf is broken",
  UNSHIPPABLE: "it cannot be sent, or not there",
} as const;

export type ShortReason = keyof typeof shortReasons;

/** What somebody who packs says of a shipment. */
export interface PackingWord {
  readonly shipmentId: string;
  /** Why it cannot be packed; undefined: it is. */
  readonly short: ShortReason | undefined;
}

/** What the words of people work with. */
export interface PackingWordsOptions {
  readonly shipments: Pick<ShipmentRepository, "find">;
  readonly packing: Pick<PackingRepository, "settle">;
  /** Called after something was said of which orders is to be told: it need not wait for the timer. */
  readonly onNews: () => void;
}

type Submitted = PackingWord & { readonly origin: AuditOrigin };

/**
 * Takes what people say who pack: that a shipment is packed, or that it cannot be. Said again it changes nothing. What has become of the shipment
 * meanwhile counts, be it that it was called off.
 */
export class PackingWords {
  readonly #options: PackingWordsOptions;
  readonly #words: Batcher<Submitted, Shipment>;

  constructor(options: PackingWordsOptions) {
    this.#options = options;
    this.#words = new Batcher({
      name: "shipment.packed",
      keyOf: ({ shipmentId }) => shipmentId,
      run: (words: Submitted[]) => this.#take(words),
    });
  }

  /**
   * The shipment after it.
   *
   * @throws SHIPMENT_NOT_FOUND, SHIPMENT_CANCELLED; of one that is packed PACKING_FAILED when the opposite was said before, of one that is short
   * ALREADY_PACKED
   */
  say(word: PackingWord, options?: SubmitOptions): Promise<Shipment> {
    return this.#words.submit({ ...word, origin: auditOrigin() }, options);
  }

  /** Takes nothing more and resolves once everything that waits has been answered. */
  async drain(): Promise<void> {
    await this.#words.drain();
  }

  async #take(words: readonly Submitted[]): Promise<(Shipment | Error)[]> {
    const { shipments, packing, onNews } = this.#options;
    const ids = words.map(({ shipmentId }) => shipmentId);
    const before = await shipments.find(ids);
    const news = words.flatMap(({ short, origin }, index) => {
      const shipment = before[index];
      return shipment?.status === "preparing" ? [{ shipment, state: stateOf(short), origin }] : [];
    });
    if (news.length > 0) await packing.settle(news);
    if (news.some(({ shipment }) => shipment.reported)) onNews();
    const after = await shipments.find(ids);
    return words.map((word, index) => judge(word, after[index]));
  }
}

function stateOf(short: ShortReason | undefined): PackingState {
  return short === undefined ? { kind: "packed" } : { kind: "failed", code: short, message: shortReasons[short] };
}

function judge({ shipmentId, short }: PackingWord, shipment: Shipment | undefined): Shipment | Error {
  if (!shipment || isTombstone(shipment)) return shipmentNotFound({ shipment_id: shipmentId });
  if (shipment.status === "cancelled") return shipmentCancelled(shipment);
  const { failure } = shipment;
  const isUnpacked = failure?.by === "warehouse";
  if (short !== undefined) return isUnpacked ? shipment : alreadyPacked(shipment);
  return isUnpacked ? packingFailed(shipmentId, failure.code) : shipment;
}
