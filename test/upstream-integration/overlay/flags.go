// Flags of kube-apiserver as flags of skiff: the same where skiff has them; where it has not, the test is skipped, and the message names the flag.
package skiff

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sort"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"k8s.io/component-base/featuregate"
)

// Log is what every kind of test can do.
type Log interface {
	Logf(format string, args ...any)
}

// renamed are flags that skiff has under another name.
var renamed = map[string]string{"service-cluster-ip-range": "service-cidr"}

// meaningless say how a kube-apiserver is deployed or stores, or what skiff does in any case: a test of behaviour does not see them.
var meaningless = regexp.MustCompile(`^(etcd-.*|storage-.*|cert-dir|secure-port|bind-address|endpoint-reconciler-type|apiserver-count|watch-cache.*|allow-privileged|runtime-config.*|feature-gates|emulated-version|min-compatibility-version|` +
	`emulation-forward-compatible|kubeconfig|authentication-kubeconfig|authentication-skip-lookup|authorization-kubeconfig|proxy-client-.*|enable-aggregator-routing|delete-collection-workers|audit-log-mode|audit-log-batch-.*|cloud-.*|peer-.*|v|vmodule|` +
	`service-account-lookup|external-hostname|shutdown-.*|kubelet-.*|event-ttl|permit-.*|lease-.*|tls-cert-file|tls-private-key-file|coordinated-leadership-.*)$`)

var ownFlags = sync.OnceValues(func() (map[string]bool, error) {
	help, err := exec.Command(os.Getenv("SKIFF_BINARY"), "server", "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("skiff server --help: %w", err)
	}
	names := map[string]bool{}
	for _, match := range regexp.MustCompile(`--([a-z0-9-]+)`).FindAllStringSubmatch(string(help), -1) {
		names[match[1]] = true
	}
	return names, nil
})

// Translate returns skiff's flags for those that differ from a kube-apiserver's defaults, or which of them skiff does not have.
func Translate(defaults, given *pflag.FlagSet) (flags []string, lacking string, err error) {
	own, err := ownFlags()
	if err != nil {
		return nil, "", err
	}
	var missing []string
	given.VisitAll(func(flag *pflag.Flag) {
		plain := defaults.Lookup(flag.Name)
		if meaningless.MatchString(flag.Name) || flag.Name == "token-auth-file" || plain != nil && plain.Value.String() == flag.Value.String() {
			return
		}
		name := flag.Name
		if other, ok := renamed[name]; ok {
			name = other
		}
		if !own[name] {
			missing = append(missing, "--"+flag.Name)
			return
		}
		value := flag.Value.String()
		if flag.Name == "tls-sni-cert-key" {
			for _, pair := range strings.Split(strings.Trim(value, "[]"), ";") {
				flags = append(flags, "--"+name+"="+pair)
			}
			return
		}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			value = strings.Join(list.GetSlice(), ",")
		} else if strings.HasPrefix(flag.Value.Type(), "stringS") {
			// A list in a wrapper that notes whether it was given.
			value = strings.Trim(value, "[]")
		}
		if value != "" {
			flags = append(flags, "--"+name+"="+value)
		}
	})
	sort.Strings(missing)
	return flags, strings.Join(missing, ", "), nil
}

// SkipWithoutGates skips a test that turns a feature off, or emulates another version: skiff has no feature gates.
func SkipWithoutGates(t Log, gates featuregate.MutableVersionedFeatureGate, binary string) {
	if emulated := gates.EmulationVersion().String(); emulated != binary {
		Skip(t, "skiff emulates no other version: --emulated-version=%s", emulated)
	}
	var off, lacking []string
	for name, spec := range gates.GetAll() {
		if spec.Default && !gates.Enabled(name) && !unseen[string(name)] {
			off = append(off, string(name))
		}
		if lacks[string(name)] && gates.Enabled(name) {
			lacking = append(lacking, string(name))
		}
	}
	if sort.Strings(lacking); len(lacking) > 0 {
		Skip(t, "skiff does not have what upstream's gates %s turn on", strings.Join(lacking, ", "))
	}
	if sort.Strings(off); len(off) > 0 {
		Skip(t, "skiff has no feature gates: --feature-gates=%s=false", strings.Join(off, "=false,"))
	}
}

// unseen are gates of how a kube-apiserver works inside.
var unseen = map[string]bool{"ListFromCacheSnapshot": true}

// lacks are gates, off by default, of what skiff does not have.
var lacks = map[string]bool{"CBORServingAndStorage": true, "CoordinatedLeaderElection": true, "KMSv1": true, "ManifestBasedAdmissionControlConfig": true}

// SkipWithoutEtcd skips a test that looks into etcd, or puts something into it that no API would take.
func SkipWithoutEtcd(t Log) { Skip(t, "skiff's store is no etcd") }

// Skip skips the test, or fails it where it cannot be skipped.
func Skip(t Log, format string, args ...any) {
	if s, ok := t.(interface{ Skipf(string, ...any) }); ok {
		s.Skipf(format, args...)
	}
	panic(fmt.Sprintf(format, args...))
}
