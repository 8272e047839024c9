package main

// What is no request and answer: logs, exec, attach, port-forward, over WebSocket and SPDY/3.1; the proxies.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

func (w *world) podRequest(subresource string) *rest.Request {
	return w.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(w.podNamespace).Name(w.pod).SubResource(subresource)
}

func tryExec(ctx context.Context, w *world, executor func(*rest.Request) remotecommand.Executor) {
	run := func(input io.Reader, tty bool, command ...string) (string, string, error) {
		options := &corev1.PodExecOptions{Container: "web", Command: command, Stdin: input != nil, Stdout: true, Stderr: !tty, TTY: tty}
		var out, err bytes.Buffer
		streams := remotecommand.StreamOptions{Stdin: input, Stdout: &out, Tty: tty}
		if !tty {
			streams.Stderr = &err
		}
		failed := executor(w.podRequest("exec").VersionedParams(options, scheme.ParameterCodec)).StreamWithContext(ctx, streams)
		return out.String(), err.String(), failed
	}
	out, errs, err := run(strings.NewReader("to and fro\n"), false, "sh", "-c", "cat; echo err >&2; exit 3")
	var code exec.CodeExitError
	if !errors.As(err, &code) {
		fail("ended with %v", err)
	}
	equal([]any{out, errs, code.Code}, []any{"to and fro\n", "err\n", 3})
	blob := make([]byte, 2_000_000)
	rand.New(rand.NewSource(1)).Read(blob)
	out, _, err = run(bytes.NewReader(blob), false, "cat")
	must(err)
	if out != string(blob) {
		fail("%d bytes came back otherwise than they were sent", len(out))
	}
	out, _, err = run(nil, true, "sh", "-c", "test -t 1 && echo terminal")
	must(err)
	equal(out, "terminal\r\n")
	_, _, err = run(nil, false, "/none")
	if err == nil {
		fail("/none ran")
	}
}

func overWebSocket(w *world) func(*rest.Request) remotecommand.Executor {
	return func(r *rest.Request) remotecommand.Executor {
		return get(remotecommand.NewWebSocketExecutor(w.config, "GET", r.URL().String()))
	}
}

func overSPDY(w *world) func(*rest.Request) remotecommand.Executor {
	return func(r *rest.Request) remotecommand.Executor {
		return get(remotecommand.NewSPDYExecutor(w.config, "POST", r.URL()))
	}
}

func tryPortForward(ctx context.Context, w *world, dialer func(*rest.Request) *portforward.PortForwarder, ready chan struct{}, stop chan struct{}) {
	defer close(stop)
	forwarder := dialer(w.podRequest("portforward"))
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		fail("ended: %v", err)
	case <-ctx.Done():
		fail("never ready")
	}
	port := get(forwarder.GetPorts())[0].Local
	for range 3 {
		response := get(http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port)))
		equal(string(get(io.ReadAll(response.Body))), w.pod+"\n")
		response.Body.Close()
	}
}

var streamChecks = []check{
	{"exec over WebSocket", func(ctx context.Context, w *world) { tryExec(ctx, w, overWebSocket(w)) }},
	{"exec over SPDY", func(ctx context.Context, w *world) { tryExec(ctx, w, overSPDY(w)) }},
	{"attach hears the container, over both", func(ctx context.Context, w *world) {
		for _, executor := range []func(*rest.Request) remotecommand.Executor{overWebSocket(w), overSPDY(w)} {
			attached, leave := context.WithCancel(ctx)
			heard, speaks := io.Pipe()
			request := w.podRequest("attach").VersionedParams(&corev1.PodAttachOptions{Container: "side", Stdout: true}, scheme.ParameterCodec)
			go func() {
				speaks.CloseWithError(executor(request).StreamWithContext(attached, remotecommand.StreamOptions{Stdout: speaks}))
			}()
			word := make([]byte, 5)
			get(io.ReadFull(heard, word))
			equal(string(word), "tick ")
			leave()
			heard.Close()
		}
	}},
	{"ports are forwarded over SPDY", func(ctx context.Context, w *world) {
		ready, stop := make(chan struct{}), make(chan struct{})
		tryPortForward(ctx, w, func(r *rest.Request) *portforward.PortForwarder {
			transport, upgrader, err := spdy.RoundTripperFor(w.config)
			must(err)
			return get(portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", r.URL()), []string{"0:8080"}, stop, ready, io.Discard, io.Discard))
		}, ready, stop)
	}},
	{"ports are forwarded over SPDY tunneled in a WebSocket", func(ctx context.Context, w *world) {
		ready, stop := make(chan struct{}), make(chan struct{})
		tryPortForward(ctx, w, func(r *rest.Request) *portforward.PortForwarder {
			return get(portforward.New(get(portforward.NewSPDYOverWebsocketDialer(r.URL(), w.config)), []string{"0:8080"}, stop, ready, io.Discard, io.Discard))
		}, ready, stop)
	}},
	{"logs are read, limited and followed; proxies reach pods and services", func(ctx context.Context, w *world) {
		pods := w.typed.CoreV1().Pods(w.podNamespace)
		limit := int64(7)
		equal(string(get(pods.GetLogs(w.pod, &corev1.PodLogOptions{Container: "side", LimitBytes: &limit}).DoRaw(ctx))), "tick 0\n")
		stream := get(pods.GetLogs(w.pod, &corev1.PodLogOptions{Container: "side", Follow: true}).Stream(ctx))
		word := make([]byte, 14)
		get(io.ReadFull(stream, word))
		equal(string(word), "tick 0\ntick 1\n")
		stream.Close()
		equal(string(get(pods.ProxyGet("http", w.pod, "8080", "/index.html", nil).DoRaw(ctx))), w.pod+"\n")
		if answer := string(get(w.typed.CoreV1().Services(w.podNamespace).ProxyGet("http", "web", "http", "/", nil).DoRaw(ctx))); !strings.HasPrefix(answer, "web-") {
			fail("the service said %q", answer)
		}
	}},
}
