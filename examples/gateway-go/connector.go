package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"slices"
	"sync"

	pb "ordermesh.local/gateway-go/connectorsv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	maxOperations = 256
	maxListed     = 1000
)

// A connector answers payments, one call after the other.
type connector struct {
	pb.UnimplementedGatewayConnectorServiceServer
	mu      sync.Mutex
	gateway *gateway
	journal *journal
}

// A line is one operation as it was first sent, and what came of it.
type line struct {
	Operation json.RawMessage `json:"operation"`
	Outcome   json.RawMessage `json:"outcome"`
}

func openConnector(path string) (*connector, error) {
	c := &connector{gateway: newGateway()}
	var err error
	c.journal, err = openJournal(path, c.read)
	return c, err
}

func (c *connector) read(text []byte) error {
	var l line
	op, outcome := &pb.GatewayOperation{}, &pb.GatewayOutcome{}
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	if err := protojson.Unmarshal(l.Operation, op); err != nil {
		return err
	}
	if err := protojson.Unmarshal(l.Outcome, outcome); err != nil {
		return err
	}
	c.gateway.remember(op, outcome)
	return nil
}

func (c *connector) GetCapabilities(context.Context, *pb.GetCapabilitiesRequest) (*pb.GetCapabilitiesResponse, error) {
	return &pb.GetCapabilitiesResponse{MaxCaptures: 1000, PartVoid: pb.PartVoid_PART_VOID_NOW, MaxOperations: maxOperations}, nil
}

// ExecuteOperations answers once all is on the disk: the lines of one call go there together.
func (c *connector) ExecuteOperations(_ context.Context, request *pb.ExecuteOperationsRequest) (*pb.ExecuteOperationsResponse, error) {
	if err := check(request.Operations); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	response := &pb.ExecuteOperationsResponse{}
	var lines bytes.Buffer
	for _, op := range request.Operations {
		outcome := c.gateway.known(op)
		if outcome == nil {
			outcome = c.gateway.decide(op)
			c.gateway.remember(op, outcome)
			write(&lines, op, outcome)
		}
		response.Outcomes = append(response.Outcomes, outcome)
	}
	if lines.Len() > 0 {
		if err := c.journal.add(lines.Bytes()); err != nil {
			log.Fatalf("the journal does not take what was done: %v", err)
		}
	}
	return response, nil
}

func write(lines *bytes.Buffer, op *pb.GatewayOperation, outcome *pb.GatewayOutcome) {
	must := func(message proto.Message) json.RawMessage {
		text, err := protojson.Marshal(message)
		if err != nil {
			panic(err) // Only text that is no UTF-8 has none, and that gRPC refuses.
		}
		return text
	}
	if err := json.NewEncoder(lines).Encode(line{must(op), must(outcome)}); err != nil {
		panic(err)
	}
}

func (c *connector) FindOperations(_ context.Context, request *pb.FindOperationsRequest) (*pb.FindOperationsResponse, error) {
	if err := check(request.Operations); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	response := &pb.FindOperationsResponse{}
	for _, op := range request.Operations {
		outcome := c.gateway.known(op)
		if outcome == nil {
			outcome = &pb.GatewayOutcome{Result: &pb.GatewayOutcome_NotExecuted{NotExecuted: &pb.OperationNotExecuted{}}}
		}
		response.Outcomes = append(response.Outcomes, outcome)
	}
	return response, nil
}

func (c *connector) ListOperations(_ context.Context, request *pb.ListOperationsRequest) (*pb.ListOperationsResponse, error) {
	limit := int(request.Limit)
	if limit < 0 || limit > maxListed {
		return nil, status.Errorf(codes.InvalidArgument, "limit is %d, not 0 to %d", limit, maxListed)
	}
	if limit == 0 {
		limit = maxListed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, found := slices.BinarySearch(c.gateway.keys, request.AfterKey)
	if found {
		at++
	}
	response := &pb.ListOperationsResponse{}
	for _, key := range c.gateway.keys[at:] {
		if request.ToKey != "" && key > request.ToKey {
			break
		}
		if response.More = len(response.Operations) == limit; response.More {
			break
		}
		// A copy: what it has captured may change before it is sent.
		response.Operations = append(response.Operations, proto.CloneOf(c.gateway.operations[key]))
	}
	return response, nil
}

// check refuses what cannot be an operation.
func check(operations []*pb.GatewayOperation) error {
	if len(operations) == 0 || len(operations) > maxOperations {
		return status.Errorf(codes.InvalidArgument, "there are %d operations, not 1 to %d", len(operations), maxOperations)
	}
	for _, op := range operations {
		_, isKind := pb.GatewayOperationKind_name[int32(op.Kind)]
		if op.Key == "" || op.Kind == 0 || !isKind || op.Amount.GetCurrency() == "" || op.Amount.GetAmount() <= 0 {
			return status.Errorf(codes.InvalidArgument, "the operation with the key %q lacks its key, its kind, its currency or an amount above 0", op.Key)
		}
	}
	return nil
}
