import type { Database } from "#platform/database/database.ts";
import { encodeId } from "#platform/id.ts";
import type { Dispute } from "./dispute.ts";
import { type DisputeFilter, type DisputeRow, listDisputes } from "./dispute-statements.ts";

/** Reads what banks want back. */
export class DisputeRepository {
  readonly #database: Pick<Database, "query">;

  constructor(database: Pick<Database, "query">) {
    this.#database = database;
  }

  /** At most `limit` disputes, those first that have to be answered first. */
  async list(filter: DisputeFilter, limit: number): Promise<Dispute[]> {
    return (await this.#database.query<DisputeRow>(...listDisputes(filter, limit))).map(toDispute);
  }
}

function toDispute(row: DisputeRow): Dispute {
  const { paymentId, orderId, respondByTime } = row;
  return {
    ...row,
    paymentId: encodeId(paymentId),
    orderId: orderId ? encodeId(orderId) : "",
    respondByTime: respondByTime ?? undefined,
  };
}
