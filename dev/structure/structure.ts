// Who may import whom. `npm run check` fails with what is said here, so that the rooms of the house stay rooms.
import { dirname } from "node:path";
import type { Import } from "./imports.ts";

/** An arrow between two files, or from a file to a package, that must not be. */
interface Ban {
  readonly says: string;
  forbids(from: string, to: string): boolean;
}

/** How many imports are named of those that make one folder depend on another. */
const namedImports = 3;

/** The service whose file it is: "orders", or "platform". */
function serviceOf(path: string): string | undefined {
  return /^services\/([^/]+)\//.exec(path)?.[1];
}

/** Generated code is arranged by its generator: it is in no circle and no test. */
function isOurs(path: string): boolean {
  return (
    /^(?:services|clients|deploy|dev|bench|charts|examples)\//.test(path) &&
    !/^(?:services\/platform|clients\/typescript)\/src\/gen\//.test(path)
  );
}

function isTest(path: string): boolean {
  return isOurs(path) && /\/(?:test|testing)\//.test(path);
}

const bans: readonly Ban[] = [
  {
    says: "deploy/ is what an operator runs, and dev/ is not there then",
    forbids: (from, to) => from.startsWith("deploy/") && to.startsWith("dev/"),
  },
  {
    says: "services/platform knows nothing about the services",
    forbids: (from, to) => serviceOf(from) === "platform" && (serviceOf(to) ?? "platform") !== "platform",
  },
  {
    says: "a service calls another one, and never imports it",
    forbids: (from, to) => {
      const [service, other] = [serviceOf(from), serviceOf(to)];
      if (!service || !other || service === "platform" || isTest(from)) return false;
      return other !== service && other !== "platform";
    },
  },
  {
    says: "of the services only services/worker imports Temporal",
    forbids: (from, to) => to.startsWith("@temporalio/") && (serviceOf(from) ?? "worker") !== "worker",
  },
  {
    // A benchmark starts what tests start.
    says: "what is there for tests is imported by tests only",
    forbids: (from, to) => !isTest(from) && !from.startsWith("bench/") && isTest(to),
  },
];

function written({ from, to, names }: Import): string {
  return `${from} imports ${names.length > 0 ? `${names.join(", ")} of ` : ""}${to}`;
}

/** The shortest way from a place back to it. */
function circleAt(start: string, arrows: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const place of queue) {
    for (const next of arrows.get(place) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, place);
      queue.push(next);
    }
    if (cameFrom.has(start)) break;
  }
  let place = cameFrom.get(start);
  if (place === undefined) return undefined;
  const circle = [start];
  for (; place !== undefined && place !== start; place = cameFrom.get(place)) circle.unshift(place);
  return [start, ...circle];
}

/** The shortest circles, of which no two have a place in common: when they are gone, the next look finds what is left. */
function circlesOf(pairs: readonly (readonly [from: string, to: string])[]): string[][] {
  const arrows = new Map<string, Set<string>>();
  for (const [from, to] of pairs) {
    if (from !== to) arrows.set(from, (arrows.get(from) ?? new Set()).add(to));
  }
  const circles = [...arrows.keys()].sort().flatMap((place) => {
    const circle = circleAt(place, arrows);
    return circle ? [circle] : [];
  });
  const told = new Set<string>();
  return circles
    .sort((one, other) => one.length - other.length)
    .filter((circle) => {
      if (circle.some((place) => told.has(place))) return false;
      for (const place of circle) told.add(place);
      return true;
    });
}

/** The imports that lead from each folder of a circle to the next. */
function reasonsOf(circle: readonly string[], imports: readonly Import[]): string[] {
  return circle.slice(1).flatMap((folder, index) => {
    const between = imports.filter(({ from, to }) => dirname(from) === circle[index] && dirname(to) === folder);
    const more = between.length > namedImports ? [`    and ${between.length - namedImports} more`] : [];
    return [...between.slice(0, namedImports).map((each) => `    ${written(each)}`), ...more];
  });
}

/**
 * What is wrong, each as text for whoever has to mend it; empty when nothing is.
 *
 * @param imports of the whole repository
 */
export function faultsOf(imports: readonly Import[]): string[] {
  const between = imports.filter(({ from, to }) => isOurs(from) && isOurs(to));
  const banned = bans.flatMap(({ says, forbids }) =>
    imports.filter(({ from, to }) => forbids(from, to)).map((each) => `${written(each)}: ${says}`),
  );
  const ofFiles = circlesOf(between.map(({ from, to }) => [from, to]));
  const ofFolders = circlesOf(between.map(({ from, to }) => [dirname(from), dirname(to)]));
  return [
    ...banned,
    ...ofFiles.map((circle) => `files form a circle: ${circle.join(" → ")}`),
    ...ofFolders.map((circle) =>
      [`folders form a circle: ${circle.join(" → ")}`, ...reasonsOf(circle, between)].join("\n"),
    ),
  ];
}
