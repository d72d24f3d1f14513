package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"

type peer struct{ channel *grpc.ClientConn }

func (p peer) unary(ctx context.Context, name string, request []byte, options ...grpc.CallOption) ([]byte, error) {
	var reply []byte
	err := p.channel.Invoke(ctx, "/t.Test/"+name, &request, &reply, options...)
	return reply, err
}

func (p peer) stream(ctx context.Context, name string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	return p.channel.NewStream(ctx, both, "/t.Test/"+name, options...)
}

func expect(ok bool, what string, values ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(what, values...)
}

func has(err error, code codes.Code) error {
	return expect(status.Code(err) == code, "expected %v, got %v", code, err)
}

func (p peer) echoes(options ...grpc.CallOption) error {
	for _, octets := range []int{0, 1, 70_000, 10_000_000} {
		reply, err := p.unary(context.Background(), "Echo", make([]byte, octets), options...)
		if err := errors.Join(err, expect(len(reply) == octets, "%d octets became %d", octets, len(reply))); err != nil {
			return err
		}
	}
	return nil
}

func (p peer) packed() error {
	if err := p.echoes(grpc.UseCompressor(gzip.Name)); err != nil {
		return err
	}
	reply, err := p.unary(context.Background(), "Packed", make([]byte, 100_000), grpc.UseCompressor(gzip.Name))
	return errors.Join(err, expect(len(reply) == 100_000, "%d octets", len(reply)))
}

func (p peer) deadline() error {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := p.unary(ctx, "Hang", nil)
	return has(err, codes.DeadlineExceeded)
}

func (p peer) cancel() error {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := p.unary(ctx, "Hang", nil)
	return has(err, codes.Canceled)
}

func (p peer) metadata() error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "initial", "value", "trailing-bin", "\xab\xab")
	stream, err := p.stream(ctx, "Metadata")
	if err != nil {
		return err
	}
	head, err := stream.Header()
	if err := errors.Join(err, stream.CloseSend(), expect(len(head.Get("initial")) == 1, "head %v", head)); err != nil {
		return err
	}
	var reply []byte
	if err := stream.RecvMsg(&reply); err != io.EOF {
		return fmt.Errorf("no end: %v", err)
	}
	found := stream.Trailer().Get("trailing-bin")
	return expect(len(found) == 1 && found[0] == "\xab\xab", "trailers %v", stream.Trailer())
}

func (p peer) statuses() error {
	_, err := p.unary(context.Background(), "Status", []byte(special))
	if err := has(err, codes.Unknown); err != nil {
		return err
	}
	if text := status.Convert(err).Message(); text != special {
		return fmt.Errorf("text %q", text)
	}
	_, err = p.unary(context.Background(), "Nothing", nil)
	return has(err, codes.Unimplemented)
}

func (p peer) pingPong() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := p.stream(ctx, "PingPong")
	if err != nil {
		return err
	}
	for _, size := range []int{27_182, 8, 1_828, 45_904, 0} {
		request, reply := bytes.Repeat([]byte("x"), size), []byte(nil)
		if err := errors.Join(stream.SendMsg(&request), stream.RecvMsg(&reply)); err != nil {
			return err
		}
		if !bytes.Equal(request, reply) {
			return fmt.Errorf("%d octets came back as %d", size, len(reply))
		}
	}
	var reply []byte
	return errors.Join(stream.CloseSend(), expect(stream.RecvMsg(&reply) == io.EOF, "no end"))
}

func (p peer) concurrent() error {
	var all sync.WaitGroup
	failures := make(chan error, 1_000)
	for task := range 100 {
		all.Add(1)
		go func() {
			defer all.Done()
			for number := range 20 {
				text := []byte(fmt.Sprint(task, number))
				reply, err := p.unary(context.Background(), "Echo", text)
				if err != nil || !bytes.Equal(reply, text) {
					failures <- fmt.Errorf("%s: %s, %v", text, reply, err)
					return
				}
			}
		}()
	}
	all.Wait()
	close(failures)
	return <-failures
}

// idle rests on one connection while keepalive pings go out every ten seconds; it must be there afterwards.
func (p peer) idle(rest time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), rest)
	defer cancel()
	if _, err := p.unary(context.Background(), "Echo", nil); err != nil {
		return err
	}
	if p.channel.WaitForStateChange(ctx, connectivity.Ready) {
		return fmt.Errorf("the connection became %v", p.channel.GetState())
	}
	_, err := p.unary(context.Background(), "Echo", nil)
	return err
}

func play(target string, rest time.Duration) {
	channel, err := grpc.NewClient(
		target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}),
	)
	if err != nil {
		panic(err)
	}
	defer channel.Close()
	p := peer{channel}
	cases := map[string]func() error{
		"unary": func() error { return p.echoes() }, "gzip": p.packed, "deadline": p.deadline, "cancel": p.cancel,
		"metadata": p.metadata, "status": p.statuses, "ping_pong": p.pingPong, "concurrent": p.concurrent,
	}
	if rest != 0 {
		cases = map[string]func() error{"idle": func() error { return p.idle(rest) }}
	}
	found := map[string]string{}
	for name, run := range cases {
		found[name] = ""
		if err := run(); err != nil {
			found[name] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}
