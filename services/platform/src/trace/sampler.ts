import { type Attributes, type Context, type Link, type SpanKind, TraceFlags } from "@opentelemetry/api";
import { type Sampler, SamplingDecision, type SamplingResult } from "@opentelemetry/sdk-trace-base";
import { chosen } from "./spans.ts";

const keep: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED };
const leave: SamplingResult = { decision: SamplingDecision.NOT_RECORD };

/**
 * Decides about new traces: one that is linked to others is kept if and only if one of those is, so that the trace of an
 * order goes on where the work of many orders is done together; without links another sampler decides.
 */
export class LinkedSampler implements Sampler {
  #otherwise: Sampler;

  constructor(otherwise: Sampler) {
    this.#otherwise = otherwise;
  }

  /** Has another one decide about traces without links. */
  use(otherwise: Sampler): void {
    this.#otherwise = otherwise;
  }

  shouldSample(...call: [Context, string, string, SpanKind, Attributes, Link[]]): SamplingResult {
    const [context, , , , , links] = call;
    if (context.getValue(chosen)) return keep;
    if (links.length === 0) return this.#otherwise.shouldSample(...call);
    return links.some((link) => link.context.traceFlags & TraceFlags.SAMPLED) ? keep : leave;
  }

  toString(): string {
    return `LinkedSampler{${this.#otherwise.toString()}}`;
  }
}
