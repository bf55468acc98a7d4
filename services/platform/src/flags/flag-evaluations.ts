import {
  type EvaluationDetails,
  type FlagValue,
  type Hook,
  type HookContext,
  StandardResolutionReasons,
} from "@openfeature/server-sdk";
import { Counter, type Registry } from "prom-client";
import { activeSpan } from "#platform/trace/spans.ts";

/** A file may have any number of variants; a metric may not. */
const maxVariants = 32;
const otherVariant = "other";
/** What code takes without a file, or after an error. Prometheus knows no empty labels. */
const noVariant = "none";

/** Shows which variant of a flag counted: in metrics, and in the span of what was decided by it. */
export class FlagEvaluations implements Hook {
  readonly #evaluations: Counter<"flag" | "variant" | "reason">;
  readonly #variants = new Set<string>();

  constructor(registry: Registry) {
    this.#evaluations = new Counter({
      name: "feature_flag_evaluations_total",
      help: "Evaluations of feature flags: by flag, variant, and why that one, as OpenFeature names it; `error` when the flag is not what the code takes, which went on as without it.",
      labelNames: ["flag", "variant", "reason"],
      registers: [registry],
    });
  }

  /** Notes an evaluation, as OpenTelemetry's conventions for feature flags say. */
  finally(context: Readonly<HookContext>, details: EvaluationDetails<FlagValue>): void {
    const { flagKey: flag, variant = "", errorCode } = details;
    // Who has no file has no flags, and everything is as it should be.
    const reason = (details.reason ?? StandardResolutionReasons.UNKNOWN).toLowerCase();
    this.#evaluations.inc({ flag, variant: this.#bounded(variant || noVariant), reason });
    activeSpan()?.addEvent("feature_flag.evaluation", {
      "feature_flag.key": flag,
      "feature_flag.provider.name": context.providerMetadata.name,
      "feature_flag.result.reason": reason,
      ...(variant !== "" && { "feature_flag.result.variant": variant }),
      ...(errorCode && { "error.type": errorCode.toLowerCase() }),
    });
  }

  #bounded(variant: string): string {
    if (this.#variants.has(variant)) return variant;
    if (this.#variants.size >= maxVariants) return otherVariant;
    this.#variants.add(variant);
    return variant;
  }
}
