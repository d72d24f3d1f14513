package main

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func one(stream grpc.ServerStream) ([]byte, error) {
	var request []byte
	err := stream.RecvMsg(&request)
	return request, err
}

func answer(stream grpc.ServerStream, message []byte) error { return stream.SendMsg(&message) }

// handle serves every method: to grpc-go, each call of an unknown service is a stream.
func handle(_ any, stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	switch path {
	case "/t.Test/Echo", "/t.Test/Packed":
		if path == "/t.Test/Packed" {
			if err := grpc.SetSendCompressor(stream.Context(), "gzip"); err != nil {
				return err
			}
		}
		request, err := one(stream)
		if err != nil {
			return err
		}
		return answer(stream, request)
	case "/t.Test/Status":
		request, err := one(stream)
		if err != nil {
			return err
		}
		stream.SetTrailer(metadata.Pairs("why-bin", "\x00\x01"))
		return status.Error(codes.Unknown, string(request))
	case "/t.Test/Hang":
		<-stream.Context().Done()
		return status.FromContextError(stream.Context().Err()).Err()
	case "/t.Test/Total":
		total := 0
		for {
			request, err := one(stream)
			if err == io.EOF {
				return answer(stream, []byte(strconv.Itoa(total)))
			}
			if err != nil {
				return err
			}
			total += len(request)
		}
	case "/t.Test/Spell":
		request, err := one(stream)
		if err != nil {
			return err
		}
		for _, text := range strings.Split(string(request), ",") {
			size, _ := strconv.Atoi(text)
			if err := answer(stream, make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	case "/t.Test/PingPong", "/t.Test/Metadata":
		if path == "/t.Test/Metadata" {
			sent, _ := metadata.FromIncomingContext(stream.Context())
			if err := stream.SendHeader(metadata.Pairs("initial", sent.Get("initial")[0])); err != nil {
				return err
			}
			stream.SetTrailer(metadata.Pairs("trailing-bin", sent.Get("trailing-bin")[0]))
		}
		for {
			request, err := one(stream)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := answer(stream, request); err != nil {
				return err
			}
		}
	}
	return status.Errorf(codes.Unimplemented, "there is no %s", path)
}

// serve listens on the loopback, says where, and ends with its standard input.
// An age other than 0 is what each connection gets before GOAWAY.
func serve(age time.Duration) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	options := []grpc.ServerOption{
		grpc.UnknownServiceHandler(handle),
		grpc.ForceServerCodec(raw{}),
		grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(100),
	}
	if age != 0 {
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      age,
			MaxConnectionAgeGrace: 10 * time.Second,
			Time:                  time.Second, // pings that we have to answer
		}))
	}
	server := grpc.NewServer(options...)
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
