// In place of k8s.io/kubernetes/test/integration/framework/test_server.go: a skiff server for each kube-apiserver that a test asks for.
package framework

import (
	"context"
	"crypto/ecdsa"
	"net"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/test/integration/skiff"
	"k8s.io/apimachinery/pkg/util/sets"
	genericapiserver "k8s.io/apiserver/pkg/server"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/keyutil"
	netutils "k8s.io/utils/net"

	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kubeapiservertesting "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

// TestServerSetup is what a test asks for.
type TestServerSetup struct {
	ModifyServerRunOptions func(*options.ServerRunOptions)
	ModifyServerConfig     func(*controlplane.Config)
}

// TearDownFunc ends a server.
type TearDownFunc func()

// StartTestServer starts a skiff server with the options that the test sets. What it puts into the server's own parts
// is asked over webhooks where these are authenticators or authorizers; other parts skip the test.
func StartTestServer(ctx context.Context, t testing.TB, setup TestServerSetup) (client.Interface, *rest.Config, TearDownFunc) {
	t.Helper()
	dir, err := os.MkdirTemp("", "test-integration-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	opts, gates, err := kubeapiservertesting.NewOptions()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindAddress = netutils.ParseIPSloppy("127.0.0.1")
	opts.SecureServing.ServerCert.CertDirectory = dir
	opts.ServiceClusterIPRanges = "10.0.0.0/24"
	opts.Authentication.APIAudiences = []string{"https://foo.bar.example.com"}
	opts.Authentication.ServiceAccounts.Issuers = []string{"https://foo.bar.example.com"}
	opts.Authentication.RequestHeader.UsernameHeaders = []string{"X-Remote-User"}
	opts.Authentication.RequestHeader.GroupHeaders = []string{"X-Remote-Group"}
	opts.Authentication.RequestHeader.ExtraHeaderPrefixes = []string{"X-Remote-Extra-"}
	opts.Authentication.RequestHeader.AllowedNames = []string{"kube-aggregator"}
	opts.Authentication.RequestHeader.ClientCAFile = filepath.Join(dir, "proxy-ca.crt")
	if err := kubeapiservertesting.ProxyAuthority(opts.Authentication.RequestHeader.ClientCAFile); err != nil {
		t.Fatal(err)
	}
	if err := kubeapiservertesting.SignServiceAccounts(opts, dir); err != nil {
		t.Fatal(err)
	}
	opts.Authorization.Modes = []string{"Node", "RBAC"}
	if setup.ModifyServerRunOptions != nil {
		setup.ModifyServerRunOptions(opts)
	}
	kubeapiservertesting.CheckGates(t, gates)

	parts := newParts(t, opts)
	if setup.ModifyServerConfig != nil {
		setup.ModifyServerConfig(parts.config)
	}
	flags, token := parts.webhooks(t, opts)
	server, err := kubeapiservertesting.StartWithOptions(t, opts, skiff.Options{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(server.Config)
	// Tests copy the file's name.
	config.CAFile, config.CAData = server.CAFile, nil
	config.QPS, config.Burst = 50, 100
	if token != "" {
		config.BearerToken = token
	}
	return client.NewForConfigOrDie(config), config, server.Stop
}

// newParts has those parts of a kube-apiserver that tests read or replace.
func newParts(t testing.TB, opts *options.ServerRunOptions) *parts {
	t.Helper()
	p := &parts{config: &controlplane.Config{ControlPlane: controlplaneapiserver.Config{Generic: &genericapiserver.Config{
		LegacyAPIGroupPrefixes: sets.NewString("/api"), LoopbackClientConfig: &rest.Config{BearerToken: "loopback"},
	}}}}
	p.config.ControlPlane.Generic.Authentication.Authenticator = &p.authentication
	p.config.ControlPlane.Generic.Authorization.Authorizer = &p.authorization
	if key, err := keyutil.PrivateKeyFromFile(opts.ServiceAccountSigningKeyFile); err == nil {
		if _, ok := key.(*ecdsa.PrivateKey); ok && len(opts.Authentication.ServiceAccounts.Issuers) > 0 {
			issuer, err := serviceaccount.JWTTokenGenerator(opts.Authentication.ServiceAccounts.Issuers[0], key)
			if err != nil {
				t.Fatal(err)
			}
			p.config.ControlPlane.Extra.ServiceAccountIssuer = issuer
		}
	}
	return p
}
