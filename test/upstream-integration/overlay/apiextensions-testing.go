// In place of k8s.io/apiextensions-apiserver/pkg/cmd/server/testing: a skiff server for each apiextensions-apiserver that a test asks for.
package testing

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	extensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	"k8s.io/apiextensions-apiserver/test/integration/skiff"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	restclient "k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
)

// TearDownFunc ends a server.
type TearDownFunc func()

// TestServerInstanceOptions is empty, as upstream's.
type TestServerInstanceOptions struct{}

// TestServer is what a test gets. There is no etcd, and nothing of the server in this process: CompletedConfig is empty.
type TestServer struct {
	ClientConfig    *restclient.Config
	ServerOpts      *options.CustomResourceDefinitionsServerOptions
	TearDownFn      TearDownFunc
	TmpDir          string
	CompletedConfig extensionsapiserver.CompletedConfig
}

// Logger is what a test or a benchmark can do.
type Logger interface {
	Errorf(format string, args ...interface{})
	Fatalf(format string, args ...interface{})
	Logf(format string, args ...interface{})
}

// NewDefaultTestServerOptions are those of all tests.
func NewDefaultTestServerOptions() *TestServerInstanceOptions { return &TestServerInstanceOptions{} }

// StartTestServer starts a skiff server with what the flags ask for.
func StartTestServer(t Logger, _ *TestServerInstanceOptions, customFlags []string, storage *storagebackend.Config) (result TestServer, err error) {
	gates := utilfeature.DefaultMutableFeatureGate.DeepCopy()
	version := compatibility.DefaultKubeEffectiveVersionForTest()
	version.SetEmulationVersion(gates.EmulationVersion())
	registry := basecompatibility.NewComponentGlobalsRegistry()
	if err := registry.Register(basecompatibility.DefaultKubeComponent, version, gates); err != nil {
		return result, err
	}
	s := newOptions(registry)
	if storage != nil {
		s.RecommendedOptions.Etcd.StorageConfig = *storage
	}
	flags := flagSet(s)
	if err := flags.Parse(customFlags); err != nil {
		return result, err
	}
	if err := registry.Set(); err != nil {
		return result, err
	}
	skiff.SkipWithoutGates(t, gates, compatibility.DefaultKubeEffectiveVersionForTest().EmulationVersion().String())
	known, lacking, err := skiff.Translate(flagSet(newOptions(registry)), flags)
	if err != nil {
		return result, err
	}
	if lacking != "" {
		skiff.Skip(t, "skiff has no %s", lacking)
	}
	if result.TmpDir, err = os.MkdirTemp("", "apiextensions-apiserver"); err != nil {
		return result, err
	}
	server, err := skiff.Start(t, skiff.Options{Flags: append(known, "--authorization-mode=AlwaysAllow")})
	if err != nil {
		os.RemoveAll(result.TmpDir)
		return result, err
	}
	dir := result.TmpDir
	result.ClientConfig = server.Config
	result.ServerOpts = s
	result.TearDownFn = func() {
		server.Stop()
		os.RemoveAll(dir)
	}
	return result, nil
}

// StartTestServerOrDie ends the test where the server does not start.
func StartTestServerOrDie(t Logger, instance *TestServerInstanceOptions, flags []string, storage *storagebackend.Config) *TestServer {
	result, err := StartTestServer(t, instance, flags, storage)
	if err != nil {
		t.Fatalf("failed to launch server: %v", err)
	}
	return &result
}

// WithEtcd is for tests that look into etcd.
func WithEtcd(t Logger) { skiff.SkipWithoutEtcd(t) }

func newOptions(registry basecompatibility.ComponentGlobalsRegistry) *options.CustomResourceDefinitionsServerOptions {
	s := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	s.ServerRunOptions.ComponentGlobalsRegistry = registry
	return s
}

func flagSet(s *options.CustomResourceDefinitionsServerOptions) *pflag.FlagSet {
	flags := pflag.NewFlagSet(fmt.Sprintf("%T", s), pflag.ContinueOnError)
	s.AddFlags(flags)
	return flags
}
