// The same handlers on grpc-go; prints a handshake line as a plugin does.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"

	"google.golang.org/grpc"

	"benchmark/pb"
)

type hooks struct {
	pb.UnimplementedPluginHooksServer
}

func (hooks) MessageHasBeenPosted(context.Context, *pb.MessageHasBeenPostedRequest) (*pb.MessageHasBeenPostedResponse, error) {
	return &pb.MessageHasBeenPostedResponse{}, nil
}

func (hooks) ServeHTTP(stream pb.PluginHooks_ServeHTTPServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.ServeHTTPResponse{Init: &pb.ServeHTTPResponseInit{StatusCode: 200}}); err != nil {
		return err
	}
	target, err := url.Parse(first.Init.Url)
	if err != nil {
		return err
	}
	if target.Path == "/upload" {
		octets := 0
		for {
			request, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			octets += len(request.BodyChunk)
		}
		if err := stream.Send(&pb.ServeHTTPResponse{BodyChunk: []byte(strconv.Itoa(octets))}); err != nil {
			return err
		}
	} else {
		chunk := make([]byte, 65536)
		octets, _ := strconv.Atoi(target.Query().Get("octets"))
		for ; octets > 0; octets -= len(chunk) {
			if err := stream.Send(&pb.ServeHTTPResponse{BodyChunk: chunk}); err != nil {
				return err
			}
		}
	}
	return stream.Send(&pb.ServeHTTPResponse{BodyComplete: true})
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	pb.RegisterPluginHooksServer(server, hooks{})
	fmt.Printf("1|1|tcp|%s|grpc\n", listener.Addr())
	panic(server.Serve(listener))
}
