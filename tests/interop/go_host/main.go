// A real go-plugin host: starts a plugin, calls it, stops it, and prints what it saw as JSON.
//
// Usage: go_host COMMAND [ARG ...]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// hooks hands the connection out; the calls below need no generated code.
type hooks struct{ plugin.NetRPCUnsupportedPlugin }

func (hooks) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (hooks) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (interface{}, error) {
	return connection, nil
}

type record struct {
	Level   string                 `json:"level"`
	Message string                 `json:"message"`
	Fields  map[string]interface{} `json:"fields"`
}

// sink keeps what the plugin logs, as go-plugin understands it.
type sink struct{ records []record }

func (s *sink) Accept(_ string, level hclog.Level, message string, args ...interface{}) {
	fields := map[string]interface{}{}
	for i := 0; i+1 < len(args); i += 2 {
		fields[fmt.Sprint(args[i])] = fmt.Sprint(args[i+1])
	}
	s.records = append(s.records, record{level.String(), message, fields})
}

func main() {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Trace, Name: "host"})
	seen := &sink{}
	logger.RegisterSink(seen)
	command := exec.Command(os.Args[1], os.Args[2:]...)
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "MATTERMOST_PLUGIN",
			MagicCookieValue: "Securely message teams, anywhere.",
		},
		Plugins:          plugin.PluginSet{"hooks": hooks{}},
		Cmd:              command,
		Logger:           logger,
		StartTimeout:     10 * time.Second,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
	})
	answer := map[string]interface{}{}
	fail := func(what string, err error) {
		if err != nil {
			client.Kill()
			fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
			os.Exit(1)
		}
	}
	begun := time.Now()
	protocol, err := client.Client()
	fail("start", err)
	answer["start_ms"] = time.Since(begun).Milliseconds()
	fail("ping", protocol.Ping())
	raw, err := protocol.Dispense("hooks")
	fail("dispense", err)
	connection := raw.(*grpc.ClientConn)
	for _, name := range []string{"Implemented", "OnActivate", "OnDeactivate"} {
		reply := &emptypb.Empty{}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := connection.Invoke(ctx, "/mattermost.pluginapi.v1.PluginHooks/"+name, &emptypb.Empty{}, reply)
		cancel()
		fail(name, err)
		answer[name] = []byte(reply.ProtoReflect().GetUnknown())
	}
	begun = time.Now()
	client.Kill()
	answer["kill_ms"] = time.Since(begun).Milliseconds()
	answer["exit"] = command.ProcessState.ExitCode()
	answer["records"] = seen.records
	fail("print", json.NewEncoder(os.Stdout).Encode(answer))
}
