package main

import (
	"slices"
	"strings"

	pb "ordermesh.local/gateway-go/connectorsv1"

	"google.golang.org/protobuf/proto"
)

// A gateway knows what it was asked for and what it said. There is no card network behind it: what it has decided is what happened.
// Whoever has one behind writes down what is about to be sent before it is sent, as docs/connectors.md says.
type gateway struct {
	operations map[string]*pb.ListedOperation // by key
	asked      map[string]*pb.GatewayOperation
	keys       []string // in their order
}

func newGateway() *gateway {
	return &gateway{operations: map[string]*pb.ListedOperation{}, asked: map[string]*pb.GatewayOperation{}}
}

// referenceOf is what the gateway calls an operation.
func referenceOf(key string) string { return "till_" + key }

// decide says what comes of an operation that was never seen, and changes nothing.
func (g *gateway) decide(op *pb.GatewayOperation) *pb.GatewayOutcome {
	if op.Kind == pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_AUTHORIZE {
		if op.CardToken == "tok_decline" {
			return declined("card_declined")
		}
		return approved(op.Key)
	}
	held := g.authorization(op.Reference)
	if held == nil {
		return declined("no_such_authorization")
	}
	amounts := held.Amounts
	switch {
	case op.Amount.Currency != held.Amount.Currency:
		return declined("currency_mismatch")
	case op.Kind == pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_REFUND:
		if op.Amount.Amount > amounts.Captured-amounts.Refunded {
			return declined("amount_exceeds_capture")
		}
	case op.Amount.Amount > held.Amount.Amount-amounts.Captured-amounts.Voided:
		return declined("amount_exceeds_authorization")
	}
	return approved(op.Key)
}

// remember takes what came of an operation, now or when the journal is read, and moves its money.
func (g *gateway) remember(op *pb.GatewayOperation, outcome *pb.GatewayOutcome) {
	listed := &pb.ListedOperation{Key: op.Key, Kind: op.Kind, AuthorizationKey: op.Key, Amount: op.Amount, Outcome: outcome}
	if op.Kind == pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_AUTHORIZE {
		listed.Amounts = &pb.AuthorizationAmounts{}
	} else if held := g.authorization(op.Reference); held != nil {
		listed.AuthorizationKey = held.Key
		if outcome.GetApproved() != nil {
			move(held, op)
		}
	}
	g.operations[op.Key], g.asked[op.Key] = listed, op
	at, _ := slices.BinarySearch(g.keys, op.Key)
	g.keys = slices.Insert(g.keys, at, op.Key)
}

func move(held *pb.ListedOperation, op *pb.GatewayOperation) {
	switch op.Kind {
	case pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_CAPTURE:
		held.Amounts.Captured += op.Amount.Amount
	case pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_VOID:
		held.Amounts.Voided += op.Amount.Amount
	case pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_REFUND:
		held.Amounts.Refunded += op.Amount.Amount
		return
	}
	if op.Final {
		held.Amounts.Voided = held.Amount.Amount - held.Amounts.Captured
	}
}

// known is what was said of an operation; nil when its key was never seen.
func (g *gateway) known(op *pb.GatewayOperation) *pb.GatewayOutcome {
	first, seen := g.asked[op.Key]
	if !seen {
		return nil
	}
	if first.Kind != op.Kind || first.CardToken != op.CardToken || first.Reference != op.Reference || !proto.Equal(first.Amount, op.Amount) {
		return &pb.GatewayOutcome{Result: &pb.GatewayOutcome_KeyReused{KeyReused: &pb.OperationKeyReused{}}}
	}
	return g.operations[op.Key].Outcome
}

// authorization is the approved one that a reference is of; nil when there is none.
func (g *gateway) authorization(reference string) *pb.ListedOperation {
	key, isOurs := strings.CutPrefix(reference, referenceOf(""))
	held := g.operations[key]
	if !isOurs || held == nil || held.Kind != pb.GatewayOperationKind_GATEWAY_OPERATION_KIND_AUTHORIZE || held.Outcome.GetApproved() == nil {
		return nil
	}
	return held
}

func approved(key string) *pb.GatewayOutcome {
	return &pb.GatewayOutcome{Result: &pb.GatewayOutcome_Approved{Approved: &pb.OperationApproved{Reference: referenceOf(key)}}}
}

func declined(code string) *pb.GatewayOutcome {
	return &pb.GatewayOutcome{Result: &pb.GatewayOutcome_Declined{Declined: &pb.OperationDeclined{Code: code}}}
}
