// In place of k8s.io/kubernetes/cmd/kube-apiserver/app/testing: a skiff server for each kube-apiserver that a test asks for.
package testing

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	clientv3 "go.etcd.io/etcd/client/v3"

	"k8s.io/apiextensions-apiserver/test/integration/skiff"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storageversion"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
	logsapi "k8s.io/component-base/logs/api/v1"
	testutil "k8s.io/kubernetes/test/utils"
	"k8s.io/kubernetes/test/utils/ktesting"

	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

func init() {
	// Several controllers of one test set up their logging; only the first one counts.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
}

// TearDownFunc ends a server.
type TearDownFunc func()

// TestServerInstanceOptions is what a test asks for besides flags.
type TestServerInstanceOptions struct {
	SkipHealthzCheck       bool
	EnableCertAuth         bool
	StorageVersionWrapFunc func(storageversion.Manager) storageversion.Manager
	ProxyCA                *ProxyCA
	BinaryVersion          string
	RequestTimeout         time.Duration
}

// TestServer is what a test gets. There is no etcd.
type TestServer struct {
	ClientConfig      *restclient.Config
	ServerOpts        *options.ServerRunOptions
	TearDownFn        TearDownFunc
	TmpDir            string
	EtcdClient        *clientv3.Client
	EtcdStoragePrefix string
}

// Logger is what a test or a benchmark can do.
type Logger interface {
	Helper()
	Errorf(format string, args ...interface{})
	Fatalf(format string, args ...interface{})
	Logf(format string, args ...interface{})
	Cleanup(func())
}

// ProxyCA signs the certificates of front proxies.
type ProxyCA struct {
	ProxySigningCert *x509.Certificate
	ProxySigningKey  *rsa.PrivateKey
}

// NewDefaultTestServerOptions are those of most tests.
func NewDefaultTestServerOptions() *TestServerInstanceOptions {
	return &TestServerInstanceOptions{EnableCertAuth: true}
}

// StartTestServer starts a skiff server with what the flags and options ask for.
func StartTestServer(t ktesting.TB, instance *TestServerInstanceOptions, customFlags []string, storage *storagebackend.Config) (result TestServer, err error) {
	if instance == nil {
		instance = NewDefaultTestServerOptions()
	}
	if instance.BinaryVersion != "" {
		skiff.Skip(t, "skiff is of one version: BinaryVersion %s", instance.BinaryVersion)
	}
	if instance.StorageVersionWrapFunc != nil {
		skiff.Skip(t, "the test looks into the server: StorageVersionWrapFunc")
	}
	s, registry, gates, err := newOptions()
	if err != nil {
		return result, err
	}
	if instance.RequestTimeout > 0 {
		s.GenericServerRunOptions.RequestTimeout = instance.RequestTimeout
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, set := range s.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	s.ServiceClusterIPRanges = "10.0.0.0/16"
	if storage != nil {
		s.Etcd.StorageConfig = *storage
	}
	if err := flags.Parse(customFlags); err != nil {
		return result, err
	}
	if err := registry.Set(); err != nil {
		return result, err
	}
	skiff.SkipWithoutGates(t, gates, binaryVersion())
	tellGates(t, gates)
	if result.TmpDir, err = os.MkdirTemp("", "kubernetes-kube-apiserver"); err != nil {
		return result, err
	}
	if instance.EnableCertAuth && instance.ProxyCA != nil {
		s.Authentication.RequestHeader.ClientCAFile = filepath.Join(result.TmpDir, "proxy-ca.crt")
		if err := os.WriteFile(s.Authentication.RequestHeader.ClientCAFile, testutil.EncodeCertPEM(instance.ProxyCA.ProxySigningCert), 0o644); err != nil {
			return result, err
		}
		s.Authentication.RequestHeader.AllowedNames = []string{"ash", "misty", "brock"}
	}
	s.Authentication.ServiceAccounts.Issuers = []string{"https://foo.bar.example.com"}
	if err := SignServiceAccounts(s, result.TmpDir); err != nil {
		return result, err
	}
	server, err := StartWithOptions(t, s, skiff.Options{NotReady: instance.SkipHealthzCheck})
	if err != nil {
		os.RemoveAll(result.TmpDir)
		return result, err
	}
	result.ClientConfig = server.Config
	result.ServerOpts = s
	result.EtcdClient = &clientv3.Client{KV: noEtcd{t}}
	result.EtcdStoragePrefix = "registry"
	dir := result.TmpDir
	result.TearDownFn = func() {
		server.Stop()
		os.RemoveAll(dir)
	}
	return result, nil
}

// StartTestServerOrDie ends the test where the server does not start.
func StartTestServerOrDie(t testing.TB, instance *TestServerInstanceOptions, flags []string, storage *storagebackend.Config) *TestServer {
	t.Helper()
	result, err := StartTestServer(t, instance, flags, storage)
	if err != nil {
		t.Fatalf("failed to launch server: %v", err)
	}
	return &result
}

// noEtcd skips the test that asks it.
type noEtcd struct{ t skiff.Log }

func (n noEtcd) Put(context.Context, string, string, ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	skiff.SkipWithoutEtcd(n.t)
	return nil, nil
}

func (n noEtcd) Get(context.Context, string, ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	skiff.SkipWithoutEtcd(n.t)
	return nil, nil
}

func (n noEtcd) Delete(context.Context, string, ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	skiff.SkipWithoutEtcd(n.t)
	return nil, nil
}

func (n noEtcd) Compact(context.Context, int64, ...clientv3.CompactOption) (*clientv3.CompactResponse, error) {
	skiff.SkipWithoutEtcd(n.t)
	return nil, nil
}

func (n noEtcd) Do(context.Context, clientv3.Op) (clientv3.OpResponse, error) {
	skiff.SkipWithoutEtcd(n.t)
	return clientv3.OpResponse{}, nil
}

func (n noEtcd) Txn(context.Context) clientv3.Txn {
	skiff.SkipWithoutEtcd(n.t)
	return nil
}

// GetEtcdClients is for tests that look into etcd, of which there is none.
func GetEtcdClients(storagebackend.TransportConfig) (*clientv3.Client, clientv3.KV, error) {
	return nil, nil, fmt.Errorf("skiff's store is no etcd")
}

// StartWithOptions starts a skiff server with a kube-apiserver's options. Those that skiff does not have skip the test.
func StartWithOptions(t skiff.Log, s *options.ServerRunOptions, how skiff.Options) (*skiff.Server, error) {
	for name, value := range s.APIEnablement.RuntimeConfig {
		if value == "false" {
			skiff.Skip(t, "skiff serves all versions: --runtime-config=%s=false", name)
		}
	}
	defaults, _, _, err := newOptions()
	if err != nil {
		return nil, err
	}
	flags, lacking, err := skiff.Translate(flagSet(defaults), flagSet(s))
	if err != nil {
		return nil, err
	}
	if lacking != "" {
		skiff.Skip(t, "skiff has no %s", lacking)
	}
	// A kube-apiserver lets everybody do everything unless it is told otherwise.
	if len(s.Authorization.Modes) == 0 && s.Authorization.AuthorizationConfigurationFile == "" {
		flags = append(flags, "--authorization-mode=AlwaysAllow")
	}
	if prefix := s.Etcd.StorageConfig.Prefix; prefix != defaults.Etcd.StorageConfig.Prefix {
		how.Store = prefix
	}
	if strings.Contains(s.ServiceClusterIPRanges, ",") {
		flags = append(flags, "--cluster-cidr=10.42.0.0/16,fd42::/56")
	}
	how.Flags = append(flags, how.Flags...)
	how.TokenFile = s.Authentication.TokenFile.TokenFile
	server, err := skiff.Start(t, how)
	if err != nil && strings.Contains(err.Error(), "--service-cidr: ") {
		skiff.Skip(t, "skiff's Services begin with IPv4, and have a /28 or more: --service-cluster-ip-range=%s", s.ServiceClusterIPRanges)
	}
	if err != nil {
		return nil, err
	}
	// As a kube-apiserver talks to itself.
	server.Config.ContentType, server.Config.DisableCompression = "application/vnd.kubernetes.protobuf", true
	s.SecureServing.BindPort = server.Port
	// Tests take the certificate that is served for its own authority.
	s.SecureServing.ServerCert.CertKey.CertFile = server.CAFile
	return server, nil
}

// SignServiceAccounts lets tokens be signed by a key that the test knows.
func SignServiceAccounts(s *options.ServerRunOptions, dir string) error {
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "service-account.key")
	s.ServiceAccountSigningKeyFile = file
	s.Authentication.ServiceAccounts.KeyFiles = []string{file}
	return keyutil.WriteKey(file, key)
}

// ProxyAuthority writes the certificate of a new authority of front proxies.
func ProxyAuthority(file string) error {
	key, err := testutil.NewPrivateKey()
	if err != nil {
		return err
	}
	authority, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "front-proxy-ca"}, key)
	if err != nil {
		return err
	}
	return cert.WriteCert(file, testutil.EncodeCertPEM(authority))
}

func newOptions() (*options.ServerRunOptions, basecompatibility.ComponentGlobalsRegistry, featuregate.MutableVersionedFeatureGate, error) {
	gates := utilfeature.DefaultMutableFeatureGate.DeepCopy()
	version := compatibility.DefaultKubeEffectiveVersionForTest()
	version.SetEmulationVersion(gates.EmulationVersion())
	registry := basecompatibility.NewComponentGlobalsRegistry()
	if err := registry.Register(basecompatibility.DefaultKubeComponent, version, gates); err != nil {
		return nil, nil, nil, err
	}
	s := options.NewServerRunOptions()
	s.GenericServerRunOptions.ComponentGlobalsRegistry = registry
	return s, registry, gates, nil
}

func binaryVersion() string {
	return compatibility.DefaultKubeEffectiveVersionForTest().EmulationVersion().String()
}

// NewOptions are a kube-apiserver's options, and the gates that their flags set.
func NewOptions() (*options.ServerRunOptions, featuregate.MutableVersionedFeatureGate, error) {
	s, _, gates, err := newOptions()
	return s, gates, err
}

// CheckGates skips the test where it asks for what is behind gates that skiff does not have, and tells the test's own code of the others.
func CheckGates(t testing.TB, gates featuregate.MutableVersionedFeatureGate) {
	skiff.SkipWithoutGates(t, gates, binaryVersion())
	tellGates(t, gates)
}

// tellGates sets what flags say for the code of the test, too.
func tellGates(t ktesting.TB, gates featuregate.MutableVersionedFeatureGate) {
	tb, ok := t.(featuregatetesting.TB)
	if !ok {
		return
	}
	changed := map[featuregate.Feature]bool{}
	for name := range gates.GetAll() {
		if on := gates.Enabled(name); on != utilfeature.DefaultFeatureGate.Enabled(name) {
			changed[name] = on
		}
	}
	if len(changed) > 0 {
		featuregatetesting.SetFeatureGatesDuringTest(tb, utilfeature.DefaultFeatureGate, changed)
	}
}

// flagSet has the flags with what the options hold now.
func flagSet(s *options.ServerRunOptions) *pflag.FlagSet {
	flags := pflag.NewFlagSet("options", pflag.ContinueOnError)
	for _, set := range s.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	return flags
}
