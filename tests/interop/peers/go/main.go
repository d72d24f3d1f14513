// grpc-go on raw octets: "server" serves the interop methods, "client TARGET [IDLE]" plays the cases against ours.
package main

import (
	"fmt"
	"os"
	"time"
)

type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }

func (raw) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func main() {
	switch os.Args[1] {
	case "server":
		age, err := time.ParseDuration(os.Args[2])
		if err != nil {
			panic(err)
		}
		serve(age)
	case "client":
		idle := time.Duration(0)
		if len(os.Args) > 3 {
			idle, _ = time.ParseDuration(os.Args[3])
		}
		play(os.Args[2], idle)
	default:
		fmt.Fprintln(os.Stderr, "server AGE | client TARGET [IDLE]")
		os.Exit(2)
	}
}
