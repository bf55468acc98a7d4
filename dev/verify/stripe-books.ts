import pg from "pg";
import { z } from "zod";
import type { ListedOperation } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { GatewayOperationKind, type GatewayOutcome } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import type { GatewayList } from "../../services/books/src/balance/gateway-reader.ts";
import { toStripeAmount } from "../../services/connectors/src/stripe/stripe-amount.ts";
import { within } from "../process/within.ts";
import { worldPort } from "../stack/layout.ts";
import { openOutsideWorld } from "../stack/outside-world.ts";
import type { Stack } from "../stack/stack.ts";

/** What the fake of Stripe says of itself, as far as it is compared; amounts are as Stripe counts. */
const stateSchema = z.object({
  intents: z.array(
    z.object({
      id: z.string(),
      metadata: z.object({ key: z.string() }),
      received: z.number(),
      refunded: z.number(),
      held: z.number(),
    }),
  ),
  customers: z.array(z.object({ id: z.string(), metadata: z.object({ payment_method: z.string() }) })),
  disputes: z.number(),
});
type State = z.infer<typeof stateSchema>;
type Intent = State["intents"][number];

/** What happened by itself is told soon, and asked for every ten seconds, and payments reads it every five. */
const heardWithinMs = 40_000;
const timeoutMs = 10_000;

/** How it is compared. */
interface Comparison {
  /** Whether every order has ended; else payments of which something is undecided are left out. */
  readonly atRest: boolean;
  /** How long what is wrong may take to become right, in milliseconds; default 40,000. */
  readonly withinMs?: number;
}

/**
 * Compares what the connector to Stripe, and payments, have written down with what the fake of Stripe behind them has come to.
 *
 * @returns what is wrong, one sentence each
 */
export async function compareWithStripe(
  stack: Stack,
  { atRest, withinMs = heardWithinMs }: Comparison,
): Promise<string[]> {
  let wrong: string[] = [];
  const isRight = async () => {
    const state = await stateOf(stack);
    const operations = await operationsOf(stack);
    wrong = [
      ...(atRest ? moneyFaults(operations, state) : moneyFaults(...withoutUnderWay(operations, state))),
      ...outsideFaults(operations),
      ...customerFaults(state),
      ...(await eventFaults(stack, state)),
    ];
    return wrong.length === 0;
  };
  await within(withinMs, isRight, 1_000);
  return wrong;
}

/** Without the payments of which something is not decided: what Stripe shows of them is written down after it. */
function withoutUnderWay(operations: readonly ListedOperation[], state: State): [ListedOperation[], State] {
  const undecided = operations.filter(({ outcome }) => !isDecided(outcome));
  const keys = new Set(undecided.map(({ authorizationKey }) => authorizationKey));
  const intents = state.intents.filter(({ metadata }) => !keys.has(metadata.key));
  return [operations.filter(({ authorizationKey }) => !keys.has(authorizationKey)), { ...state, intents }];
}

function isDecided(outcome: GatewayOutcome | undefined): boolean {
  const { case: result } = outcome?.result ?? {};
  return result === "approved" || result === "declined" || result === "requiresAction";
}

async function stateOf(stack: Stack): Promise<State> {
  const url = `http://127.0.0.1:${worldPort(stack.blueprint.ports)}/fake`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  return stateSchema.parse(await answer.json());
}

async function operationsOf(stack: Stack): Promise<ListedOperation[]> {
  await using outside = await openOutsideWorld(stack);
  return await listAll(outside.gateway);
}

async function listAll(gateway: GatewayList): Promise<ListedOperation[]> {
  const all: ListedOperation[] = [];
  for (let more = true; more; ) {
    const page = await gateway.listOperations({ afterKey: all.at(-1)?.key ?? "" }, { timeoutMs });
    all.push(...page.operations);
    more = page.more && page.operations.length > 0;
  }
  return all;
}

/** Each payment at Stripe has what the connector knows of it, and what it knows nothing of has no money. */
function moneyFaults(operations: readonly ListedOperation[], { intents }: State): string[] {
  const approved = new Map<string, ListedOperation>();
  for (const operation of operations) {
    const result = operation.outcome?.result;
    const isHold = operation.kind === GatewayOperationKind.AUTHORIZE;
    if (isHold && result?.case === "approved") approved.set(result.value.reference, operation);
  }
  const ids = new Set(intents.map(({ id }) => id));
  const missing = [...approved.keys()].filter((id) => !ids.has(id));
  return [
    ...intents.flatMap((intent) => differenceOf(intent, approved.get(intent.id))),
    ...missing.map((id) => `the connector knows the payment ${id}, which Stripe does not have`),
  ];
}

function differenceOf(intent: Intent, operation: ListedOperation | undefined): string[] {
  const { id, metadata, received, refunded, held } = intent;
  const theirs = [received, refunded, held].join(", ");
  const ours = amountsOf(operation).join(", ");
  if (operation && operation.key !== metadata.key) return [`payment ${id} at Stripe is of another key`];
  return theirs === ours
    ? []
    : [
        `payment ${id} of ${metadata.key}: captured, refunded and held are ${theirs} at Stripe, and ${ours} for the connector`,
      ];
}

function amountsOf(operation: ListedOperation | undefined): readonly (number | undefined)[] {
  const { amount: authorized, amounts } = operation ?? {};
  if (!authorized || !amounts) return [0, 0, 0];
  const { captured, voided, refunded } = amounts;
  const held = authorized.amount - captured - voided;
  return [captured, refunded, held].map((amount) => toStripeAmount(authorized.currency, amount));
}

/** Nobody is at the console of the fake. */
function outsideFaults(operations: readonly ListedOperation[]): string[] {
  return operations.flatMap(({ kind, key, outside }) =>
    outside ? [`the ${GatewayOperationKind[kind]} ${key}, which is ours, is taken for somebody else's`] : [],
  );
}

/** Each payment method has one customer, whatever was lost. */
function customerFaults({ customers }: State): string[] {
  const byCard = Map.groupBy(customers, ({ metadata }) => metadata.payment_method);
  return [...byCard].flatMap(([card, all]) =>
    all.length === 1 ? [] : [`${all.length} customers were made at Stripe for the payment method ${card}`],
  );
}

/** Each dispute is told of once, and nothing that was asked for is taken for what happened by itself. */
async function eventFaults(stack: Stack, { disputes }: State): Promise<string[]> {
  const heard = await heardOf(stack);
  const known = heard.get("disputed") ?? 0;
  const others = [...heard].filter(([kind]) => kind !== "disputed");
  return [
    ...(known === disputes ? [] : [`Stripe has ${disputes} disputes, and payments was told of ${known}`]),
    ...others.map(([kind, count]) => `payments was told of ${count} ${kind}, and nothing of the kind has happened`),
  ];
}

async function heardOf(stack: Stack): Promise<ReadonlyMap<string, number>> {
  const client = new pg.Client({
    connectionString: stack.databaseUrl("payments", "postgres"),
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const text = "select kind, count(*)::int as count from gateway_event group by kind";
    const { rows } = await client.query<{ kind: string; count: number }>(text);
    return new Map(rows.map(({ kind, count }) => [kind, count]));
  } finally {
    await client.end().catch(() => undefined);
  }
}
