import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Client, ConnectError } from "@connectrpc/connect";
import type {
  GatewayConnectorService,
  ListedOperation,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { GatewayOperationKind, type GatewayOutcome } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { outsideId } from "#platform/redact/outside-text.ts";
import { BooksError } from "./ask.ts";
import { type IdRange, idBefore } from "./range.ts";

/** How the books ask what a card gateway did. */
export type GatewayList = Pick<Client<typeof GatewayConnectorService>, "listOperations">;

/** Something that the gateway did, as a row of a statement; amounts are text: JSON numbers are floating point. */
export interface GatewayRecord {
  readonly key: string;
  readonly kind: string;
  readonly authorization_key: string;
  readonly currency: string;
  readonly amount: string;
  readonly state: "approved" | "declined" | "undecided";
  readonly captured: string;
  readonly voided: string;
  readonly refunded: string;
  /** What is to be given free with the last operation. */
  readonly deferred: string;
  /** What the gateway calls what was done there without us; null where we have asked for it. */
  readonly outside: string | null;
  /** When that was learned of; null where nobody says it. */
  readonly learned: string | null;
}

/** The columns of {@link GatewayRecord}. */
export const recordColumns = `key uuid, kind text, authorization_key uuid, currency text, amount bigint, state text,
  captured bigint, voided bigint, refunded bigint, deferred bigint, outside text, learned timestamptz`;

/** What the gateway did in a range of keys, or in the first part of it. */
export interface GatewayPage {
  readonly records: readonly GatewayRecord[];
  /** Whether there is more in the range, behind the last one. */
  readonly more: boolean;
}

/** How long one call may take, in milliseconds. */
const timeoutMs = 30_000;
/** What is shown of what a gateway calls something, in characters. */
const longestReference = 64;
/** The last moment that is written with a year of four digits. */
const lastMs = Date.UTC(9_999, 11, 31);
/** What a connector lists at once, at most. */
const mostListed = 1_000;

const kinds: Readonly<Partial<Record<GatewayOperationKind, string>>> = {
  [GatewayOperationKind.AUTHORIZE]: "authorize",
  [GatewayOperationKind.CAPTURE]: "capture",
  [GatewayOperationKind.VOID]: "void",
  [GatewayOperationKind.REFUND]: "refund",
};

/** What a card gateway did, asked of its connector page by page. */
export class GatewayReader {
  readonly #gateway: GatewayList;
  /** The most that was read at once. */
  mostRecords = 0;

  constructor(gateway: GatewayList) {
    this.#gateway = gateway;
  }

  /** What was done in a range, so much of it at most. @throws BooksError when nobody says it, or not as the contract has it */
  async list({ from, to }: IdRange, size: number): Promise<GatewayPage> {
    const limit = Math.min(size, mostListed);
    const asked = { afterKey: idBefore(from) ?? "", toKey: to, limit };
    const { operations, more } = await this.#ask(() => this.#gateway.listOperations(asked, { timeoutMs }));
    let last = asked.afterKey;
    for (const { key } of operations) {
      if (!uuid.test(key) || key <= last || key > to) throw failure(`it lists the key ${key} out of its place`);
      last = key;
    }
    if (more && operations.length === 0) throw failure("it has more to list, and lists nothing");
    this.mostRecords = Math.max(this.mostRecords, operations.length);
    return { records: operations.map(toRecord), more };
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (cause) {
      throw failure(ConnectError.from(cause).rawMessage, cause);
    }
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function failure(why: string, cause?: unknown): BooksError {
  return new BooksError(`The connector of the card gateway does not say what was done: ${why}.`, { cause });
}

function toRecord({ key, kind, authorizationKey, amount, outcome, amounts, outside }: ListedOperation): GatewayRecord {
  if (!uuid.test(authorizationKey)) throw failure(`the key of the authorization of ${key} is none`);
  return {
    key,
    kind: kinds[kind] ?? "something else",
    authorization_key: authorizationKey,
    currency: amount?.currency ?? "",
    amount: String(amount?.amount ?? 0n),
    state: stateOf(outcome),
    captured: String(amounts?.captured ?? 0n),
    voided: String(amounts?.voided ?? 0n),
    refunded: String(amounts?.refunded ?? 0n),
    deferred: String(amounts?.deferred ?? 0n),
    outside: outside ? outsideId(outside.reference, longestReference) || "without a name" : null,
    learned: toTime(outside?.time),
  };
}

function stateOf(outcome: GatewayOutcome | undefined): GatewayRecord["state"] {
  const said = outcome?.result.case;
  if (said === "requiresAction") return "declined";
  return said === "approved" || said === "declined" ? said : "undecided";
}

/** What somebody else says may be no time that can be compared. */
function toTime(time: Timestamp | undefined): string | null {
  const ms = time ? timestampMs(time) : Number.NaN;
  return ms > 0 && ms <= lastMs ? new Date(ms).toISOString() : null;
}
