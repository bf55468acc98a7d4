import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { AdmissionClass, admission, service_admission } from "#gen/shop/type/v1/admission_pb.js";

/** The classes by the names that metrics and refusals have for them. */
export const classNames = ["caller", "saga", "operator"] as const;

/** Whose places a call takes; see `shop/type/v1/admission.proto`. */
export type ClassName = (typeof classNames)[number];

const names: Readonly<Record<AdmissionClass, ClassName>> = {
  [AdmissionClass.UNSPECIFIED]: "caller",
  [AdmissionClass.CALLER]: "caller",
  [AdmissionClass.SAGA]: "saga",
  [AdmissionClass.OPERATOR]: "operator",
};

/** The class that the contract gives to a method: its own, else its service's, else that of callers. */
export function admissionClassOf(method: DescMethod): ClassName {
  return names[getOption(method, admission) || getOption(method.parent, service_admission)];
}
