import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { StackError } from "../errors.ts";
import { type Gateway, gateways } from "../stack/layout.ts";
import { usageError } from "../terminal/usage.ts";
import { type FaultKind, faultKinds, parseKinds } from "./faults.ts";
import { type Absence, parseAbsence, parseSubjects, type Subject, subjectsFor } from "./outages.ts";

/** What `npm run campaign` was asked for. */
export interface CampaignOptions {
  readonly help: boolean;
  readonly verbose: boolean;
  readonly orders: number;
  readonly minutes: number;
  readonly seed: number;
  /** How many faults are drawn, and of which kinds. */
  readonly faults: number;
  readonly kinds: readonly FaultKind[];
  /** What the card gateway is. */
  readonly gateway: Gateway;
  /** Instead: each of these is away for so long, one after the other. */
  readonly outages: Absence | undefined;
  readonly away: readonly Subject[];
  /** Instead: the planted bugs are looked for; those whose names begin so, all of them when empty. */
  readonly planted: string | undefined;
}

const standard = { minutes: 2, ordersPerMinute: 150, faultsPerMinute: 12 } as const;

/** The answer to `npm run campaign -- --help`. */
export const help = `Runs all of Ordermesh on this machine, has orders of every kind come by themselves, does to it what can happen, and looks
whether every order comes to its end without anybody's hand, with stock, money and parcels in balance at any time.
Ends with 0 when nothing is wrong, else with 1.

  npm run campaign                      ${standard.minutes} minutes
  npm run campaign -- --minutes 10      another time
  npm run campaign -- --orders 1000     another number of orders; otherwise ${standard.ordersPerMinute} a minute. No more come while as many as
                                        come in a minute are under way, so a slow machine has fewer of them
  npm run campaign -- --faults 40       another number of faults; otherwise ${standard.faultsPerMinute} a minute
  npm run campaign -- --kinds kill,crash
                                        only some kinds of faults
  npm run campaign -- --seed 7          the same orders and the same faults again; each run says its seed
  npm run campaign -- --gateway stripe  sells by the connector to Stripe, which suffers as all others do, before a fake of Stripe whose
                                        answers are lost, late or errors, and whose webhooks come late, twice or never
  npm run campaign -- --outages 10      instead: each component, the gateway and the carrier away for 10 s, one after the other,
                                        under 20 orders; --outages 3h: for three hours, which pass by moved clocks
  npm run campaign -- --outages 600 --away payments,gateway
                                        only some of them
  npm run campaign -- --planted [name]  instead: plants bugs that we could have made into a copy, and shows that each is caught
  npm run campaign -- --verbose         show what the components log

Faults:
${Object.entries(faultKinds)
  .map(([kind, what]) => `  ${kind.padEnd(10)} ${what}`)
  .join("\n")}
Besides, orders come whose gateway or carrier answers late, twice or not at all, are wanted back while their parcels leave, are
placed several times at once, and want the last units of an article.
Ctrl-C ends the faults and has no more orders come: those that are there are judged. Takes any ports that are free. Data and logs are kept in a temporary folder when something was wrong.`;

/** Reads the command line. @throws StackError for what it does not know */
export function parseCampaignOptions(args: readonly string[]): CampaignOptions {
  const { values, positionals } = parse(args);
  const [extra] = positionals.slice(values.planted ? 1 : 0);
  const gateway = parseGateway(values.gateway);
  if (extra !== undefined) throw usageError(new Error(`"${extra}" belongs to no option`));
  const minutes = readNumber("minutes", values.minutes) ?? standard.minutes;
  return {
    help: values.help,
    verbose: values.verbose,
    minutes,
    orders: readNumber("orders", values.orders, true) ?? Math.max(1, Math.round(minutes * standard.ordersPerMinute)),
    faults: readNumber("faults", values.faults, true) ?? Math.round(minutes * standard.faultsPerMinute),
    seed: readNumber("seed", values.seed, true) ?? randomInt(2 ** 31),
    kinds: values.kinds === undefined ? (Object.keys(faultKinds) as FaultKind[]) : parseKinds(values.kinds),
    outages: values.outages === undefined ? undefined : parseAbsence(values.outages),
    gateway,
    away: values.away === undefined ? subjectsFor(gateway) : parseSubjects(values.away, gateway),
    planted: values.planted ? (positionals[0] ?? "") : undefined,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        verbose: { type: "boolean", short: "v", default: false },
        planted: { type: "boolean", default: false },
        minutes: { type: "string" },
        orders: { type: "string" },
        faults: { type: "string" },
        kinds: { type: "string" },
        seed: { type: "string" },
        gateway: { type: "string", default: "simulated" },
        outages: { type: "string" },
        away: { type: "string" },
      },
    });
  } catch (error) {
    throw usageError(error);
  }
}

function parseGateway(text: string): Gateway {
  const gateway = gateways.find((candidate) => candidate === text);
  if (!gateway) throw new StackError(`There is no gateway "${text}"; there are ${gateways.join(", ")}.`);
  return gateway;
}

function readNumber(name: string, text: string | undefined, whole = false): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  const good = whole ? Number.isSafeInteger(number) && number >= 0 : number > 0 && number <= 24 * 60;
  if (text.trim() !== "" && good) return number;
  throw new StackError(`--${name} is a ${whole ? "whole number" : "number above 0"}, not "${text}".`);
}
