package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// event is one message for all; the next one is there once `passed` is closed.
type event struct {
	content []byte
	next    *event
	passed  chan struct{}
}

func newEvent(content []byte) *event { return &event{content: content, passed: make(chan struct{})} }

// broadcast serves bench.Broadcast until stopped: Watch answers what it was asked with, then whatever is given to
// Publish, which answers when it began (nanoseconds since 1970, as text).
func broadcast(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: wire broadcast ADDRESS")
	}
	listener, err := net.Listen("tcp", arguments[0])
	if err != nil {
		return err
	}
	var newest atomic.Pointer[event]
	newest.Store(newEvent(nil))
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(raw{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			var request []byte
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			switch method, _ := grpc.MethodFromServerStream(stream); method {
			case "/bench.Broadcast/Watch":
				return follow(newest.Load(), request, stream)
			case "/bench.Broadcast/Publish":
				began := []byte(strconv.FormatInt(time.Now().UnixNano(), 10))
				last := newest.Load()
				last.next = newEvent(request)
				newest.Store(last.next)
				close(last.passed)
				return stream.SendMsg(&began)
			default:
				return status.Error(codes.Unimplemented, method)
			}
		}),
	)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		server.Stop()
	}()
	fmt.Println("broadcast serving")
	return server.Serve(listener)
}

func follow(current *event, first []byte, stream grpc.ServerStream) error {
	if err := stream.SendMsg(&first); err != nil {
		return err
	}
	for {
		select {
		case <-current.passed:
			current = current.next
			if err := stream.SendMsg(&current.content); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
