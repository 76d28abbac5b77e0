// Wire is what the benchmarks need that Python would be too slow for: a client of many calls or of thousands of
// streams, and the grpc-go server that a watch is compared with. It knows bytes alone, no message of any service.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"call": call, "watch": watch, "broadcast": broadcast}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("usage: wire call|watch|broadcast [flags]"))
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "wire:", err)
	os.Exit(1)
}

// base64 is a flag whose value is bytes.
type base64 []byte

func (b *base64) String() string { return "" }

func (b *base64) Set(text string) error { return json.Unmarshal([]byte(`"`+text+`"`), (*[]byte)(b)) }
