import { setTimeout as pause } from "node:timers/promises";
import type { Service } from "../../../services/services.ts";
import { ClusterError } from "../errors.ts";
import type { Kubectl } from "../kubectl.ts";
import { callerLabel, headlessAddress, namespace, releaseName } from "./release.ts";
import { restrictedPod } from "./restricted-pod.ts";

/** What the image's `load` writes. */
export interface Outcome {
  readonly placed: number;
  readonly calls: number;
  readonly failedCalls: Readonly<Record<string, number>>;
  readonly orders: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly slowestCallMs: number;
  readonly seconds: number;
  /** The first failure of each kind, in the words of the caller. */
  readonly trouble: string;
}

/** How much load. */
export interface LoadPlan {
  readonly name: string;
  readonly image: string;
  /** Orders at most, and orders a second. */
  readonly count: number;
  readonly rate: number;
  /** Whether failed calls are repeated under their request ids. */
  readonly persistent?: boolean;
  /** How long the last orders may take once no more are placed, in seconds. */
  readonly patience: number;
}

interface PodStatus {
  readonly status: { readonly phase: string };
}

/** A pod that places orders through the headless services, as every client in the cluster does. */
export class LoadPod {
  readonly #kubectl: Kubectl;
  readonly #plan: LoadPlan;

  private constructor(kubectl: Kubectl, plan: LoadPlan) {
    this.#kubectl = kubectl;
    this.#plan = plan;
  }

  /** Starts the pod and waits until it runs. */
  static async start(kubectl: Kubectl, plan: LoadPlan): Promise<LoadPod> {
    const pod = new LoadPod(kubectl, plan);
    await kubectl.apply([manifest(plan)]);
    await pod.#until((phase) => phase !== "Pending", 120);
    return pod;
  }

  /** Tells it to place no more orders. It has no shell, but it has Node. */
  async enough(): Promise<void> {
    const signal = ["node", "-e", "process.kill(1, 'SIGUSR2')"];
    await this.#kubectl.run(["-n", namespace, "exec", this.#plan.name, "--", ...signal]);
  }

  /** Waits until every order has come to its end, and removes the pod. */
  async outcome(deadlineSeconds: number): Promise<Outcome> {
    const { name } = this.#plan;
    await this.#until((phase) => phase === "Succeeded" || phase === "Failed", deadlineSeconds);
    const log = await this.#kubectl.run(["-n", namespace, "logs", name]);
    const line = log
      .trim()
      .split("\n")
      .findLast((text) => text.startsWith("{"));
    if (line === undefined) throw new ClusterError(`the load ended without a word on its orders: ${log.slice(-500)}`);
    await this.remove();
    const trouble = log.split("\n").filter((text) => text.startsWith("a call failed"));
    return { ...(JSON.parse(line) as Omit<Outcome, "trouble">), trouble: trouble.join("; ") };
  }

  /** Removes the pod, when it is there. */
  async remove(): Promise<void> {
    const pod = ["pod", this.#plan.name, "--ignore-not-found", "--wait=true"];
    await this.#kubectl.run(["-n", namespace, "delete", ...pod]);
  }

  async #until(reached: (phase: string) => boolean, seconds: number): Promise<void> {
    const { name } = this.#plan;
    const end = Date.now() + seconds * 1_000;
    for (;;) {
      const { status } = await this.#kubectl.get<PodStatus>(["-n", namespace, "pod", name]);
      if (reached(status.phase)) return;
      if (Date.now() > end) throw new ClusterError(`the pod ${name} is ${status.phase} after ${seconds} s`);
      await pause(1_000);
    }
  }
}

function manifest({ name, image, count, rate, patience, persistent }: LoadPlan): object {
  const target = (service: Service) => `dns:///${headlessAddress(service)}`;
  const addresses = ["--orders", target("orders"), "--inventory", target("inventory")];
  const amount = ["--count", String(count), "--rate", String(rate), "--patience", String(patience)];
  return restrictedPod({
    name,
    namespace,
    labels: callerLabel,
    container: {
      name: "load",
      image,
      env: [
        {
          name: "SERVICE_KEY",
          valueFrom: { secretKeyRef: { name: `${releaseName}-service-keys`, key: "test" } },
        },
      ],
      args: ["load", ...addresses, ...amount, ...(persistent ? ["--persistent"] : [])],
    },
  });
}
