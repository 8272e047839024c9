// Package skiff starts the real skiff binary where upstream's integration tests start a kube-apiserver in their own process.
package skiff

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

const (
	readyMax = 60 * time.Second
	endMax   = 15 * time.Second
	// Of a log that tells why a server did not start.
	toldBytesMax = 2000
)

// Server is a skiff server without nodes, control loops and scheduler, on a loopback port of its own.
type Server struct {
	// Config is that of a member of system:masters, by bearer token.
	Config *rest.Config
	// Dir holds data, kubeconfig and server.log.
	Dir    string
	CAFile string
	Port   int
	stop   func()
}

// Options are what a server is started with.
type Options struct {
	// Flags are those of `skiff server`, each as --name=value.
	Flags []string
	// TokenFile is a CSV of static tokens that are to work, too.
	TokenFile string
	// Store names what a server keeps: one that is started with the same name later has it, too. Empty: its own.
	Store string
	// NotReady returns the server without waiting for /readyz.
	NotReady bool
}

// Start starts a server and waits until it is ready. A server that ends before is an error, with the end of its log.
func Start(t Log, options Options) (*Server, error) {
	binary := os.Getenv("SKIFF_BINARY")
	if binary == "" {
		return nil, errors.New("SKIFF_BINARY does not name the skiff to test")
	}
	dir, release, err := stores.take(t, options.Store)
	if err != nil {
		return nil, err
	}
	token, err := adminToken(dir, options.TokenFile)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	args := append([]string{
		"server", "--disable-agent", "--disable=dns,proxy,scheduler,controllers", "--data-dir=" + data, "--state-dir=" + filepath.Join(data, "state"),
		"--write-kubeconfig=" + filepath.Join(dir, "kubeconfig"), "--bind-address=127.0.0.1", fmt.Sprintf("--https-listen-port=%d", port),
		"--token-auth-file=" + filepath.Join(dir, "tokens.csv"), "--log-format=text",
	}, options.Flags...)
	t.Logf("skiff %s", strings.Join(args, " "))
	command := exec.Command(binary, args...)
	command.Stdout, command.Stderr, command.Env = logFile, logFile, append(os.Environ(), "HOME="+dir)
	// A test that panics leaves no server behind.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		command.Wait()
		logFile.Close()
	}()
	s := &Server{Dir: dir, Port: port, CAFile: filepath.Join(data, "server", "tls", "server-ca.crt")}
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			select {
			case <-ended:
				t.Logf("skiff had ended: %v: %s", command.ProcessState, s.lastWords())
				if f, ok := t.(interface{ Errorf(string, ...any) }); ok && s.Config != nil {
					f.Errorf("skiff ended by itself: %v", command.ProcessState)
				}
			default:
				command.Process.Signal(syscall.SIGTERM)
				select {
				case <-ended:
				case <-time.After(endMax):
					t.Logf("skiff did not end within %v", endMax)
					command.Process.Kill()
					<-ended
				}
			}
			release()
		})
	}
	if c, ok := t.(interface{ Cleanup(func()) }); ok {
		c.Cleanup(s.stop)
	}
	if err := s.untilReady(token, options.NotReady, ended); err != nil {
		s.stop()
		return nil, err
	}
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.Config = &rest.Config{Host: fmt.Sprintf("https://127.0.0.1:%d", port), BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: ca}, QPS: 1000, Burst: 10000}
	return s, nil
}

// Stop ends the server and removes what it left. It may be called more than once.
func (s *Server) Stop() { s.stop() }

func (s *Server) untilReady(token string, notReady bool, ended <-chan struct{}) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(context.Background(), readyMax)
	defer cancel()
	for {
		select {
		case <-ended:
			return fmt.Errorf("skiff did not start: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("skiff is not ready after %v: %s", readyMax, s.lastWords())
		case <-time.After(50 * time.Millisecond):
		}
		request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/readyz", s.Port), nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(request)
		if err != nil {
			continue
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK || notReady {
			return nil
		}
	}
}

func (s *Server) lastWords() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-toldBytesMax):]))
}

// kept are the directories of servers that may be started again.
type kept struct {
	mutex sync.Mutex
	dirs  map[string]string
	used  map[string]bool
}

var stores = kept{dirs: map[string]string{}, used: map[string]bool{}}

func (k *kept) take(t Log, name string) (dir string, release func(), err error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.used[name] {
		Skip(t, "two skiff servers do not share a store without being one cluster")
	}
	dir = k.dirs[name]
	if dir == "" {
		if dir, err = os.MkdirTemp("", "skiff-integration-"); err != nil {
			return "", nil, err
		}
	}
	if name == "" {
		return dir, func() {
			if os.Getenv("SKIFF_KEEP") == "" {
				os.RemoveAll(dir)
			}
		}, nil
	}
	k.dirs[name], k.used[name] = dir, true
	return dir, func() {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		k.used[name] = false
	}, nil
}

// adminToken writes the static tokens of a server: the test's own and one for the user that a kube-apiserver is to itself.
func adminToken(dir, file string) (string, error) {
	var own []byte
	if file != "" {
		var err error
		if own, err = os.ReadFile(file); err != nil {
			return "", err
		}
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return "", err
	}
	token := hex.EncodeToString(secret)
	lines := strings.TrimRight(string(own), "\n") + "\n" + token + ",system:apiserver," + hex.EncodeToString(secret[:8]) + ",\"system:masters\"\n"
	return token, os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(strings.TrimLeft(lines, "\n")), 0o600)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
