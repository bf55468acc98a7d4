import { join } from "node:path";
import { childEnvironment } from "../config.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { type Blueprint, host } from "./blueprint.ts";
import { connectorEnvironment, portOfLink } from "./environment.ts";
import { type ConnectorReplica, connectorPorts, replicasOf, sourcesOf, worldPort } from "./layout.ts";
import { common } from "./programs.ts";

/** What the fake signs its webhooks with. */
const webhookSecret = "whsec_of_a_fake_stripe";

/** A process of the connector to Stripe. */
export function stripeProgram(blueprint: Blueprint, replica: ConnectorReplica): ProgramSpec {
  const { ports, overrides, clocks } = blueprint;
  const world = portOfLink(blueprint, "world", replica) ?? worldPort(ports);
  const environment = {
    ...connectorEnvironment(blueprint, replica),
    STRIPE_SECRET_KEY: "sk_test_of_a_fake",
    STRIPE_WEBHOOK_SECRETS: webhookSecret,
    STRIPE_API_URL: `http://${host}:${world}`,
    STRIPE_MULTICAPTURE: "true",
    ...overrides.all,
    ...overrides.stripe,
  };
  return {
    ...common(blueprint, replica),
    command: process.execPath,
    args: [join(sourcesOf("stripe"), "main.ts")],
    env: childEnvironment({ ...environment, ...clocks?.environment(replica) }),
    stopSignal: "SIGTERM",
    stopOrder: 1,
  };
}

/** The fake of Stripe's HTTP behind it. It is the world outside, and remembers for as long as it runs: whoever ends it ends the shop's account. */
export function fakeStripeProgram(blueprint: Blueprint): ProgramSpec {
  const { ports, replicas } = blueprint;
  const endpoints = replicasOf("stripe", replicas).map(
    (replica) => `http://${host}:${connectorPorts(replica, ports).http}/webhooks/stripe`,
  );
  return {
    ...common(blueprint, "fake-stripe"),
    command: process.execPath,
    args: [
      "services/connectors/test/stripe/fake-stripe-main.ts",
      String(worldPort(ports)),
      webhookSecret,
      ...endpoints,
    ],
    env: childEnvironment({}),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
}
