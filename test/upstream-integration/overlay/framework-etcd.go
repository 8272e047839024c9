// In place of k8s.io/kubernetes/test/integration/framework/etcd.go: skiff needs no etcd.
package framework

import (
	"errors"
	"flag"
	"os"
	"testing"

	"k8s.io/klog/v2"
)

// EtcdMain runs the tests.
func EtcdMain(tests func() int) {
	flag.Parse()
	os.Exit(tests())
}

// GetEtcdURL is where nobody listens.
func GetEtcdURL() string { return "http://127.0.0.1:1" }

// StartEtcd starts nothing.
func StartEtcd(klog.Logger, testing.TB, bool) {}

// RunCustomEtcd is for tests of what a kube-apiserver has of its etcd.
func RunCustomEtcd(klog.Logger, string, []string) (url string, stop func(), err error) {
	return "", nil, errors.New("there is no etcd beside skiff")
}
