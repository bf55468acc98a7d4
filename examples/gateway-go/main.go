// Command gateway-go is a card gateway and its connector in one process: ordermesh.connectors.v1 on a port, and a file that remembers.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os/signal"
	"syscall"

	pb "ordermesh.local/gateway-go/connectorsv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	address := flag.String("listen", "127.0.0.1:50061", "`host:port` to listen on")
	path := flag.String("journal", "gateway.journal", "`file` that remembers what was done")
	flag.Parse()
	c, err := openConnector(*path)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterGatewayConnectorServiceServer(server, c)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, server.GracefulStop)
	log.Printf("%d operations are known; listening on %s", len(c.gateway.keys), listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
