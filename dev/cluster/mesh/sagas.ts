import { setTimeout as pause } from "node:timers/promises";
import { ClusterError } from "../errors.ts";
import { execute } from "../kubectl.ts";

/** How long Temporal may need for an answer: its development server is slow at times, beside a mesh on two cores. */
const answerWithinMs = 120_000;

/** What is read of a history: https://docs.temporal.io/references/events#workflowtaskcompleted. */
interface History {
  readonly events: readonly {
    readonly workflowTaskCompletedEventAttributes?: { readonly deploymentVersion?: { readonly buildId?: string } };
  }[];
}

/** The sagas, as Temporal's own command shows them to an operator. */
export class Sagas {
  readonly #command: string;
  readonly #address: string;
  readonly #deployment: string;

  /** @param deployment the worker's name as a deployment of Temporal */
  constructor(command: string, address: string, deployment: string) {
    this.#command = command;
    this.#address = address;
    this.#deployment = deployment;
  }

  /** The version with which new sagas begin; empty when they begin with none. */
  async current(): Promise<string> {
    const { routingConfig } = await this.#ask<{ routingConfig: { currentVersionBuildID: string } }>([
      ...["worker", "deployment", "describe", "--name", this.#deployment],
    ]);
    return routingConfig.currentVersionBuildID.replace("__unversioned__", "");
  }

  /** The ids of the workflows of a version that run. */
  running(version: string): Promise<string[]> {
    return this.#list(`${this.#of(version)} AND ExecutionStatus="Running"`);
  }

  /** The ids of all workflows of a version, also of those that have ended. */
  all(version: string): Promise<string[]> {
    return this.#list(this.#of(version));
  }

  #of(version: string): string {
    // The daily look at silent parcels is no saga: it goes on with the version that is current.
    return `TemporalWorkerDeploymentVersion="${this.#deployment}:${version}" AND WorkflowType!="lookAfterShipments"`;
  }

  async #list(query: string): Promise<string[]> {
    const list = ["workflow", "list", "--query", query, "--limit", "10000"];
    const found = await this.#ask<{ execution: { workflowId: string } }[]>(list);
    return found.map(({ execution }) => execution.workflowId);
  }

  /** Every version that has carried a saga, each once. */
  async versionsOf(id: string): Promise<string[]> {
    return versionsIn(await this.#ask<History>(["workflow", "show", "--workflow-id", id]));
  }

  async #ask<T>(args: readonly string[]): Promise<T> {
    const all = [...args, "--address", this.#address, "--output", "json"];
    const end = Date.now() + answerWithinMs;
    for (;;) {
      const { code, stdout, stderr } = await execute({ command: this.#command, args: all, timeoutMs: 30_000 });
      if (code === 0) return JSON.parse(stdout);
      if (Date.now() > end) throw new ClusterError(`temporal ${args.slice(0, 3).join(" ")} failed: ${stderr.trim()}`);
      await pause(1_000);
    }
  }
}

/** The versions whose workers have completed a task of a history; empty is a worker that is no version. */
export function versionsIn({ events }: History): string[] {
  const tasks = events.flatMap(({ workflowTaskCompletedEventAttributes: task }) => task ?? []);
  return [...new Set(tasks.map(({ deploymentVersion }) => deploymentVersion?.buildId ?? ""))];
}
