// Parts of the server that a test replaces by its own, as webhooks that skiff asks.
package framework

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiextensions-apiserver/test/integration/skiff"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	authorizationapi "k8s.io/kubernetes/pkg/apis/authorization"
	_ "k8s.io/kubernetes/pkg/apis/authorization/install"
	"k8s.io/kubernetes/pkg/controlplane"
	authorizationutil "k8s.io/kubernetes/pkg/registry/authorization/util"
)

// asked stands for skiff's own authenticators or authorizers: a part of the test's that asks it is asked besides them.
type asked struct{ wasAsked bool }

type ownAuthentication struct{ asked }

func (a *ownAuthentication) AuthenticateRequest(*http.Request) (*authenticator.Response, bool, error) {
	a.wasAsked = true
	return nil, false, nil
}

type ownAuthorization struct{ asked }

func (a *ownAuthorization) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	a.wasAsked = true
	return authorizer.DecisionNoOpinion, "", nil
}

type parts struct {
	config         *controlplane.Config
	authentication ownAuthentication
	authorization  ownAuthorization
}

// tokenOfNobody is one that only an authenticator that takes everything takes.
const tokenOfNobody = "nobody"

// webhooks returns the flags with which skiff asks the test's authenticator and authorizer, and the client's token where not that of skiff's admin.
func (p *parts) webhooks(t testing.TB, opts *options.ServerRunOptions) (flags []string, token string) {
	t.Helper()
	generic := p.config.ControlPlane.Generic
	if generic.OpenAPIConfig != nil {
		skiff.Skip(t, "the test looks into the server: OpenAPIConfig")
	}
	if generic.AdmissionControl != nil {
		skiff.Skip(t, "the test looks into the server: AdmissionControl")
	}
	if seconds := p.config.ControlPlane.Extra.ServiceAccountMaxExpiration.Seconds(); seconds > 0 {
		flags = append(flags, fmt.Sprintf("--service-account-max-token-expiration=%ds", int(seconds)))
	}
	if generic.LoopbackClientConfig.BearerToken == "" {
		token = tokenOfNobody
	}
	if theirs := generic.Authentication.Authenticator; theirs != authenticator.Request(&p.authentication) {
		flags = append(flags, "--authentication-token-webhook-config-file="+kubeconfig(t, reviewToken(theirs)), "--authentication-token-webhook-version=v1", "--authentication-token-webhook-cache-ttl=0s")
		theirs.AuthenticateRequest(httptest.NewRequest(http.MethodGet, "/", nil))
		if !p.authentication.wasAsked {
			opts.Authentication.Anonymous.Allow = false
		}
	}
	if theirs := generic.Authorization.Authorizer; theirs != authorizer.Authorizer(&p.authorization) {
		flags = append(flags, "--authorization-webhook-config-file="+kubeconfig(t, reviewAccess(theirs)), "--authorization-webhook-version=v1",
			"--authorization-webhook-cache-authorized-ttl=0s", "--authorization-webhook-cache-unauthorized-ttl=0s")
		theirs.Authorize(context.Background(), authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "whoever"}})
		if !p.authorization.wasAsked {
			opts.Authorization.Modes = nil
		}
		opts.Authorization.Modes = slices.Concat([]string{"Webhook"}, opts.Authorization.Modes)
	}
	return flags, token
}

func reviewToken(theirs authenticator.Request) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		review := authenticationv1.TokenReview{}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header.Set("Authorization", "Bearer "+review.Spec.Token)
		answer, ok, err := theirs.AuthenticateRequest(request)
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: ok}
		if err != nil {
			review.Status.Error = err.Error()
		}
		if ok && answer != nil && answer.User != nil {
			extra := map[string]authenticationv1.ExtraValue{}
			for key, values := range answer.User.GetExtra() {
				extra[key] = values
			}
			review.Status.User = authenticationv1.UserInfo{Username: answer.User.GetName(), UID: answer.User.GetUID(), Groups: answer.User.GetGroups(), Extra: extra}
			review.Status.Audiences = review.Spec.Audiences
		}
		json.NewEncoder(w).Encode(review)
	}
}

func reviewAccess(theirs authorizer.Authorizer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		review := authorizationv1.SubjectAccessReview{}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		internal := authorizationapi.SubjectAccessReview{}
		if err := legacyscheme.Scheme.Convert(&review, &internal, nil); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		decision, reason, err := theirs.Authorize(r.Context(), authorizationutil.AuthorizationAttributesFrom(internal.Spec))
		review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: decision == authorizer.DecisionAllow, Denied: decision == authorizer.DecisionDeny, Reason: reason}
		if err != nil {
			review.Status.EvaluationError = err.Error()
		}
		json.NewEncoder(w).Encode(review)
	}
}

// kubeconfig starts a server with the handler and returns the file that says how to ask it.
func kubeconfig(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	dir, err := os.MkdirTemp("", "test-integration-webhook-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\nclusters: [{name: c, cluster: {server: %q, certificate-authority: ca.crt}}]\n", server.URL)
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
