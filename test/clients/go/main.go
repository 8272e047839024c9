// Command clients tries an API server with client-go: typed, dynamic and metadata clients, informers, discovery, server-side
// apply, leader election, streams. It prints a line per check and exits 1 if one failed. Built by scripts/clients-test.sh.
//
//	clients -kubeconfig FILE -content protobuf|json -namespace NEW -pod NAMESPACE/NAME [-restarts] [-only REGEXP]
//	clients -kubeconfig FILE -servers FILE,FILE,FILE -content protobuf|json -namespace NEW [-only REGEXP]
//
// With -restarts it prints "RESTART" where the server is to be restarted and reads a line from stdin when that was done.
// With -servers, a kubeconfig for each server of one cluster, it makes the checks of servers.go alone. "ASK n LEADER" wants the
// place in that list of the server that leads as a line of stdin; "ASK n KILL" and "ASK n BACK" that this one be killed and started.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const deadline = 3 * time.Minute

// What the checks work with.
type world struct {
	config       *rest.Config // Of the content type asked for.
	json         *rest.Config
	typed        kubernetes.Interface
	dynamic      dynamic.Interface
	metadata     metadata.Interface
	discovery    *discovery.DiscoveryClient
	namespace    string // The checks' own.
	podNamespace string
	pod          string // Of the shop: containers web and side.
	restart      func()
	servers      []server
	ask          func(what string) string
}

// A failed check panics with this; the rest of the program goes on.
type failure struct{ what string }

func fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func get[T any](value T, err error) T {
	must(err)
	return value
}

func equal(got, want any) {
	if !reflect.DeepEqual(got, want) {
		fail("got %#v, want %#v", got, want)
	}
}

// The error has to be there and be of this sort (apierrors.IsX).
func refused(err error, is func(error) bool, words string) {
	if err == nil {
		fail("not refused, want %q", words)
	}
	if !is(err) || !strings.Contains(err.Error(), words) {
		fail("refused as %T %v, want %q", err, err, words)
	}
}

// Looks until it holds.
func until(ctx context.Context, what string, holds func() bool) {
	for !holds() {
		select {
		case <-ctx.Done():
			fail("%v: %s", ctx.Err(), what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

type check struct {
	name string
	run  func(context.Context, *world)
}

func attempt(c check, w *world) (what string, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	defer func() {
		if thrown := recover(); thrown != nil {
			if f, is := thrown.(failure); is {
				what, ok = f.what, false
				return
			}
			panic(thrown)
		}
	}()
	c.run(ctx, w)
	return "", true
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "")
	content := flag.String("content", "protobuf", "protobuf or json")
	namespace := flag.String("namespace", "go", "made, and deleted at the end")
	pod := flag.String("pod", "", "NAMESPACE/NAME of a running pod with containers web and side")
	restarts := flag.Bool("restarts", false, "")
	only := flag.String("only", "", "")
	servers := flag.String("servers", "", "")
	flag.Parse()

	configs := func(kubeconfig string) (*rest.Config, *rest.Config) {
		config := get(clientcmd.BuildConfigFromFlags("", kubeconfig))
		config.QPS = -1
		json := rest.CopyConfig(config)
		if *content == "protobuf" {
			config.ContentType = "application/vnd.kubernetes.protobuf"
			config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		}
		return config, json
	}
	w := &world{namespace: *namespace}
	w.config, w.json = configs(*kubeconfig)
	w.podNamespace, w.pod, _ = strings.Cut(*pod, "/")
	config := w.config
	w.typed = get(kubernetes.NewForConfig(config))
	w.dynamic = get(dynamic.NewForConfig(w.json))
	w.metadata = get(metadata.NewForConfig(w.json))
	w.discovery = get(discovery.NewDiscoveryClientForConfig(w.json))
	input := bufio.NewReader(os.Stdin)
	w.restart = func() {
		fmt.Println("RESTART")
		if _, err := input.ReadString('\n'); err != nil {
			fail("nobody restarted the server: %v", err)
		}
	}
	asked := 0
	w.ask = func(what string) string {
		asked++
		fmt.Printf("ASK %d %s\n", asked, what)
		return strings.TrimSpace(get(input.ReadString('\n')))
	}
	for _, file := range strings.FieldsFunc(*servers, func(c rune) bool { return c == ',' }) {
		config, json := configs(file)
		w.servers = append(w.servers, server{typed: get(kubernetes.NewForConfig(config)), dynamic: get(dynamic.NewForConfig(json)), metadata: get(metadata.NewForConfig(json))})
	}

	ctx := context.Background()
	get(w.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, metav1.CreateOptions{}))
	checks := slices.Concat(typedChecks, pageChecks, anyKindChecks, informerChecks)
	if w.pod != "" {
		checks = append(checks, streamChecks...)
	}
	if *restarts {
		checks = append(checks, restartChecks...)
	}
	if len(w.servers) > 0 {
		checks = serversChecks
	}
	failed := 0
	for _, c := range checks {
		if !regexp.MustCompile(*only).MatchString(c.name) {
			continue
		}
		started := time.Now()
		what, ok := attempt(c, w)
		took := time.Since(started).Milliseconds()
		if ok {
			fmt.Printf("ok %s (%d ms)\n", c.name, took)
		} else {
			failed++
			fmt.Printf("not ok %s (%d ms): %s\n", c.name, took, strings.ReplaceAll(what, "\n", " | "))
		}
	}
	must(w.typed.CoreV1().Namespaces().Delete(ctx, w.namespace, metav1.DeleteOptions{}))
	fmt.Printf("%s: %d failed\n", *content, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
