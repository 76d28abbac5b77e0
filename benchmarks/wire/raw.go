package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

const maxMessage = 64 << 20

// raw is the codec of messages that stay bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	content, ok := message.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no *[]byte", message)
	}
	return mem.BufferSlice{mem.SliceBuffer(*content)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	content, ok := message.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no *[]byte", message)
	}
	*content = data.Materialize()
	return nil
}

// dial connects at the first call.
func dial(address string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, append(options,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(maxMessage)),
	)...)
}
