import { defineSearchAttributeKey } from "@temporalio/common";

/** The orders that a workflow carries. A value is limited to 2 KB: 64 ids of 26 characters take 1.9. */
export const orderIdsAttribute = defineSearchAttributeKey("OrderIds", "KEYWORD_LIST");
/** Their customers, each once. */
export const customerIdsAttribute = defineSearchAttributeKey("CustomerIds", "KEYWORD_LIST");
/** Those of them that wait for an operator; absent when none does. */
export const parkedOrderIdsAttribute = defineSearchAttributeKey("ParkedOrderIds", "KEYWORD_LIST");

/** The workflows with orders that wait for an operator, as Temporal's visibility is asked for them. */
export const parkedQuery = `${parkedOrderIdsAttribute.name} IS NOT NULL AND ExecutionStatus = "Running"`;
