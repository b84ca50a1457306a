// Command streamingpeer is kubectl's side of exec, attach and port-forward: the official client-go packages, pointed
// straight at a streaming server. It is an independent peer for the tests.
//
//	streamingpeer exec spdy|websocket [-tty] [-stdin] URL    streams are its own; its exit code is the command's
//	streamingpeer forward LOCAL:REMOTE URL                   prints "ready", then forwards until its input ends
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

// sizes gives one terminal size, then none.
type sizes struct{ sent bool }

func (s *sizes) Next() *remotecommand.TerminalSize {
	if s.sent {
		return nil
	}
	s.sent = true
	return &remotecommand.TerminalSize{Width: 111, Height: 22}
}

func main() {
	target, err := url.Parse(os.Args[len(os.Args)-1])
	if err == nil {
		switch os.Args[1] {
		case "exec":
			err = run(os.Args[2], target, os.Args[3:])
		case "forward":
			err = forward(os.Args[2], target)
		}
	}
	var exit exec.CodeExitError
	if errors.As(err, &exit) {
		os.Exit(exit.Code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(99)
	}
}

func run(protocol string, target *url.URL, flags []string) error {
	config := &rest.Config{Host: target.Host}
	executor, err := remotecommand.NewSPDYExecutor(config, "POST", target)
	if protocol == "websocket" {
		executor, err = remotecommand.NewWebSocketExecutor(config, "GET", target.String())
	}
	if err != nil {
		return err
	}
	options := remotecommand.StreamOptions{Stdout: os.Stdout}
	if slices.Contains(flags, "-tty") {
		options.Tty = true
		options.TerminalSizeQueue = &sizes{}
	} else {
		options.Stderr = os.Stderr
	}
	if slices.Contains(flags, "-stdin") {
		options.Stdin = os.Stdin
	}
	return executor.StreamWithContext(context.Background(), options)
}

func forward(ports string, target *url.URL) error {
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{Host: target.Host})
	if err != nil {
		return err
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", target)
	stop, ready := make(chan struct{}), make(chan struct{})
	go func() {
		<-ready
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	forwarder, err := portforward.New(dialer, []string{ports}, stop, ready, io.Discard, os.Stderr)
	if err != nil {
		return err
	}
	return forwarder.ForwardPorts()
}
