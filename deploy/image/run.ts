// The image's entry point: the first argument chooses the process, the others are its own.
import { connectors, hasDatabase, jobs, services } from "../../services/services.ts";

const programs: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...services, ...jobs].map((name) => [name, `../../services/${name}/src/main.ts`])),
  ...Object.fromEntries(connectors.map((name) => [name, `../../services/connectors/src/${name}/main.ts`])),
  "promote-worker": "../../services/worker/src/promote.ts",
  "place-order": "./place-order.ts",
  load: "./load.ts",
};

const withoutDatabase = services.filter((service) => !hasDatabase(service));

/** What can be run, each with what it does. */
const uses: readonly (readonly [string, string])[] = [
  [services.join(" | "), "the service, until SIGTERM"],
  ["<service> migrate up", `its migrations, once (not for the ${withoutDatabase.join(", ")})`],
  [
    "orders | payments | inventory import <file>",
    "takes what is its own of a file of another shop; - is standard input",
  ],
  ["orders statistics rebuild | refresh", "counts orders anew, or what has happened to them since"],
  ["books", "compares the books of all services once: ends with 0 balanced, 1 not, 2 could not be compared"],
  ["stripe", "the connector to Stripe, until SIGTERM; stripe migrate up, its migrations"],
  ["easypost", "the connector to EasyPost, until SIGTERM; easypost migrate up, its migrations"],
  ["promote-worker", "has new sagas begin with the version of TEMPORAL_BUILD_ID"],
  ["place-order --orders <host:port> --inventory <host:port>", "one order, until it is delivered"],
  [
    "load --orders <host:port> --inventory <host:port> --count <n> --rate <n>",
    "many orders at a steady rate, and what became of them",
  ],
];

/** What is longer than the names of the services has its meaning on a line of its own. */
const column = services.join(" | ").length;
const lines = uses.map(([command, meaning]) => {
  const left = command.length > column ? `${command}\n  ${" ".repeat(column)}` : command.padEnd(column);
  return `  ${left}    ${meaning}\n`;
});
const help = `Ordermesh. Say what to run:\n${lines.join("")}`;

const [name = "--help"] = process.argv.splice(2, 1);
const program = programs[name];
if (program !== undefined) {
  await import(program);
} else if (name === "--help") {
  process.stdout.write(help);
} else {
  process.stderr.write(`There is no "${name}" in this image.\n${help}`);
  process.exitCode = 2;
}
