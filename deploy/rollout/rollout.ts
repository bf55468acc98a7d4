import type { Helm, Revision } from "./helm.ts";

/**
 * How a rollout ended: the new revision runs; the cluster runs what it ran before; or somebody has to look. The numbers
 * are the exit codes of the command.
 */
export const ends = { done: 0, back: 1, stuck: 2 } as const;
export type End = keyof typeof ends;

/** A rollout cannot begin; nothing was changed. The message says what to do. */
export class RolloutError extends Error {
  override readonly name = "RolloutError";
}

/** The chart of the whole mesh, from the repository's root. */
const chart = "charts/ordermesh";

/**
 * Installs or upgrades, runs the release's tests, and goes back to the revision that ran before when either fails. A first
 * installation that fails is uninstalled: there was nothing before.
 */
export class Rollout {
  readonly #helm: Helm;
  readonly #say: (line: string) => void;
  #phase: "looking" | "trying" | "going back" = "looking";
  #interrupted = false;

  constructor(helm: Helm, say: (line: string) => void) {
    this.#helm = helm;
    this.#say = say;
  }

  /**
   * Ctrl-C: goes back, as if the step that runs had failed. Going back itself is not interrupted.
   * @returns whether there is something to carry to its end; else nothing was changed
   */
  interrupt(): boolean {
    if (this.#phase === "looking") {
      this.#helm.giveUp();
      return false;
    }
    if (!this.#interrupted) {
      this.#say(this.#phase === "trying" ? "interrupted: going back" : "going back is carried to its end");
      if (this.#phase === "trying") this.#helm.interrupt();
    }
    this.#interrupted = true;
    return true;
  }

  /** @param flags of `helm upgrade`, which say what is to run @throws RolloutError, HelmError when it cannot begin */
  async run(flags: readonly string[]): Promise<End> {
    const before = await this.#present();
    this.#phase = "trying";
    // Helm goes back by itself when pods do not become ready or a migration fails, and uninstalls a first installation.
    const upgraded = await this.#helm.step("upgrade", chart, "--install", "--atomic", ...flags);
    if (!upgraded) return this.#afterAtomic(before);
    const mine = (await this.#helm.history()).at(-1)?.revision ?? 0;
    if (await this.#passes(mine)) return "done";
    this.#phase = "going back";
    return this.#goBack(before, mine);
  }

  /** The revision that runs; undefined before a first installation. */
  async #present(): Promise<number | undefined> {
    const history = await this.#helm.history();
    const last = history.at(-1);
    const running = deployed(history);
    if (last?.status.startsWith("pending")) throw new RolloutError(underWay(this.#helm, last, running));
    if (running === undefined) {
      this.#say("nothing is installed yet: what fails is uninstalled");
      return undefined;
    }
    this.#say(`revision ${running} runs, and is what is gone back to`);
    if ((await this.#helm.tests(running)) === "not passed") {
      const instead = `helm test ${this.#helm.place.release}, and helm rollback to a better one when it fails`;
      this.#say(`its test has not been passed: somebody stopped a rollout, or upgraded without one; ${instead}`);
    }
    return running;
  }

  async #passes(revision: number): Promise<boolean> {
    if (this.#interrupted) return false;
    if ((await this.#helm.tests(revision)) === "none") {
      this.#say(`revision ${revision} runs; its pods are ready, and its values have no test that would show more`);
      return true;
    }
    // The test says itself that its log is to be shown.
    const passed = await this.#helm.step("test");
    if (passed && !this.#interrupted) this.#say(`revision ${revision} runs, and has passed its test`);
    return passed && !this.#interrupted;
  }

  /** Helm has gone back, or says above why it could not. */
  async #afterAtomic(before: number | undefined): Promise<End> {
    const history = await this.#helm.history();
    const last = history.at(-1);
    const whole = before === undefined ? last === undefined : last?.status === "deployed";
    if (!whole) return this.#stuck(before);
    this.#say(before === undefined ? "nothing is installed, as before" : `what revision ${before} was runs as before`);
    return "back";
  }

  async #goBack(before: number | undefined, mine: number): Promise<End> {
    const { release } = this.#helm.place;
    const last = (await this.#helm.history()).at(-1);
    if (last?.revision !== mine) {
      this.#say(`revision ${mine} did not pass its test, but ${last?.revision} came meanwhile: nothing was taken back`);
      return "stuck";
    }
    const what = before === undefined ? `${release} is uninstalled` : `going back to ${before}`;
    this.#say(`revision ${mine} did not pass its test: ${what}`);
    const isBack =
      before === undefined
        ? await this.#helm.step("uninstall", "--wait")
        : await this.#helm.step("rollback", String(before), "--wait");
    if (!isBack) return this.#stuck(before);
    this.#say(before === undefined ? "nothing is installed, as before" : `what revision ${before} was runs again`);
    return "back";
  }

  #stuck(before: number | undefined): End {
    this.#say(`it could not be taken back; when the reason above is gone: ${remedy(this.#helm, before)}`);
    return "stuck";
  }
}

function deployed(history: readonly Revision[]): number | undefined {
  return history.findLast(({ status }) => status === "deployed")?.revision;
}

function remedy({ place }: Helm, before: number | undefined): string {
  const where = `--kube-context ${place.context} --namespace ${place.namespace}`;
  return before === undefined
    ? `helm uninstall ${place.release} ${where} --wait`
    : `helm rollback ${place.release} ${before} ${where} --wait`;
}

function underWay(helm: Helm, { revision, status }: Revision, running: number | undefined): string {
  const who = "another Helm is at work on it, or one was killed";
  return `Revision ${revision} is ${status}: ${who}. When none is: ${remedy(helm, running)}`;
}
