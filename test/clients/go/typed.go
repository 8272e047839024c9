package main

// Typed clients: what is sent and received is Go structs, in protobuf, JSON or CBOR.

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"
)

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{NodeSelector: map[string]string{"none": "such"}, Containers: []corev1.Container{{Name: "one", Image: "busybox:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("1Gi")}}}}}
}

// Collects what the server warned of.
type warnings []string

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) { *w = append(*w, text) }

var typedChecks = []check{
	{"objects are created, read, updated and deleted as they were sent", func(ctx context.Context, w *world) {
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		made := get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "crud-", Labels: map[string]string{"a": "b"}}, Data: map[string]string{"text": "zwölf\n"}, BinaryData: map[string][]byte{"raw": {0, 255, 128}}}, metav1.CreateOptions{}))
		read := get(maps.Get(ctx, made.Name, metav1.GetOptions{}))
		equal(read, made)
		equal([]any{read.Data, read.BinaryData}, []any{map[string]string{"text": "zwölf\n"}, map[string][]byte{"raw": {0, 255, 128}}})
		read.Data["text"] = "2"
		get(maps.Update(ctx, read, metav1.UpdateOptions{}))
		_, err := maps.Update(ctx, made, metav1.UpdateOptions{})
		refused(err, apierrors.IsConflict, "the object has been modified; please apply your changes to the latest version and try again")
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: made.Name}}, metav1.CreateOptions{})
		refused(err, apierrors.IsAlreadyExists, fmt.Sprintf("configmaps %q already exists", made.Name))
		wrong := types.UID("wrong")
		refused(maps.Delete(ctx, made.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}}), apierrors.IsConflict, fmt.Sprintf("the UID in the precondition (wrong) does not match the UID in record (%s). The object might have been deleted and then recreated", made.UID))
		must(maps.Delete(ctx, made.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &made.UID}}))
		_, err = maps.Get(ctx, made.Name, metav1.GetOptions{})
		refused(err, apierrors.IsNotFound, fmt.Sprintf("configmaps %q not found", made.Name))
	}},
	{"a pod comes back with its quantities, its defaults and its times", func(ctx context.Context, w *world) {
		pods := w.typed.CoreV1().Pods(w.namespace)
		made := get(pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Spec: podSpec()}, metav1.CreateOptions{}))
		c := made.Spec.Containers[0]
		equal([]any{c.Resources.Requests.Cpu().String(), c.Resources.Requests.Memory().Value(), c.TerminationMessagePath, c.ImagePullPolicy, made.Spec.DNSPolicy, made.Status.Phase, made.Status.QOSClass},
			[]any{"1500m", int64(1 << 30), "/dev/termination-log", corev1.PullIfNotPresent, corev1.DNSClusterFirst, corev1.PodPending, corev1.PodQOSBurstable})
		if age := time.Since(made.CreationTimestamp.Time); age < -2*time.Second || age > time.Minute {
			fail("created %v ago", age)
		}
		_, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "Bad_Name"}}, metav1.CreateOptions{})
		refused(err, apierrors.IsInvalid, "spec.containers: Required value")
		causes := err.(apierrors.APIStatus).Status().Details.Causes
		if len(causes) < 2 || causes[0].Field != "metadata.name" {
			fail("causes: %v", causes)
		}
		must(pods.Delete(ctx, "pod", metav1.DeleteOptions{}))
	}},
	{"dry run changes nothing; unknown fields are warned of and refused", func(ctx context.Context, w *world) {
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		made := get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "dry"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}))
		if made.UID == "" {
			fail("no uid")
		}
		_, err := maps.Get(ctx, "dry", metav1.GetOptions{})
		refused(err, apierrors.IsNotFound, "not found")
		body := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"strict"},"dada":{}}`)
		client := get(kubernetes.NewForConfig(w.json)).CoreV1().RESTClient()
		var warned warnings
		err = client.Post().Namespace(w.namespace).Resource("configmaps").Param("fieldValidation", "Strict").SetHeader("Content-Type", "application/json").Body(body).WarningHandler(&warned).Do(ctx).Error()
		refused(err, apierrors.IsBadRequest, `strict decoding error: unknown field "dada"`)
		must(client.Post().Namespace(w.namespace).Resource("configmaps").Param("fieldValidation", "Warn").SetHeader("Content-Type", "application/json").Body(body).WarningHandler(&warned).Do(ctx).Error())
		equal([]string(warned), []string{`unknown field "dada"`})
	}},
	{"all patch types", func(ctx context.Context, w *world) {
		deployments := w.typed.AppsV1().Deployments(w.namespace)
		zero := int32(0)
		labels := map[string]string{"app": "patched"}
		get(deployments.Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "patched"}, Spec: appsv1.DeploymentSpec{Replicas: &zero, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec()}}}, metav1.CreateOptions{}))
		get(deployments.Patch(ctx, "patched", types.JSONPatchType, []byte(`[{"op":"test","path":"/spec/replicas","value":0},{"op":"add","path":"/metadata/labels","value":{"json":"patch"}}]`), metav1.PatchOptions{}))
		get(deployments.Patch(ctx, "patched", types.MergePatchType, []byte(`{"metadata":{"labels":{"merge":"patch"}}}`), metav1.PatchOptions{}))
		strategic := get(deployments.Patch(ctx, "patched", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"one","env":[{"name":"B","value":"2"}]},{"name":"two","image":"busybox:1"}]}}}}`), metav1.PatchOptions{}))
		equal(strategic.Labels, map[string]string{"json": "patch", "merge": "patch"})
		names := map[string]int{}
		for _, c := range strategic.Spec.Template.Spec.Containers {
			names[c.Name] = len(c.Env)
		}
		equal(names, map[string]int{"one": 2, "two": 0})
		_, err := deployments.Patch(ctx, "patched", types.JSONPatchType, []byte(`[{"op":"test","path":"/spec/replicas","value":7}]`), metav1.PatchOptions{})
		refused(err, apierrors.IsInvalid, "the server rejected our request due to an error in our request")
		must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
			d := get(deployments.Get(ctx, "patched", metav1.GetOptions{}))
			d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: "Tried", Status: "True"})
			_, err := deployments.UpdateStatus(ctx, d, metav1.UpdateOptions{})
			return err
		}))
	}},
	{"server-side apply with apply configurations: conflicts, force, extraction", func(ctx context.Context, w *world) {
		deployments := w.typed.AppsV1().Deployments(w.namespace)
		of := func(image string) *appsapply.DeploymentApplyConfiguration {
			labels := map[string]string{"app": "applied"}
			return appsapply.Deployment("applied", w.namespace).WithLabels(labels).WithSpec(appsapply.DeploymentSpec().WithReplicas(0).WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
				WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).WithSpec(coreapply.PodSpec().WithContainers(coreapply.Container().WithName("one").WithImage(image)))))
		}
		made := get(deployments.Apply(ctx, of("busybox:1"), metav1.ApplyOptions{FieldManager: "one"}))
		again := get(deployments.Apply(ctx, of("busybox:1"), metav1.ApplyOptions{FieldManager: "one"}))
		equal([]any{again.UID, again.Generation}, []any{made.UID, made.Generation})
		_, err := deployments.Apply(ctx, of("busybox:2"), metav1.ApplyOptions{FieldManager: "two"})
		refused(err, apierrors.IsConflict, `Apply failed with 1 conflict: conflict with "one": .spec.template.spec.containers[name="one"].image`)
		forced := get(deployments.Apply(ctx, of("busybox:2"), metav1.ApplyOptions{FieldManager: "two", Force: true}))
		equal(forced.Spec.Template.Spec.Containers[0].Image, "busybox:2")
		mine := get(appsapply.ExtractDeployment(forced, "two"))
		equal(mine.Spec.Template.Spec.Containers[0].Image, func() *string { s := "busybox:2"; return &s }())
		theirs := get(appsapply.ExtractDeployment(forced, "one"))
		equal(theirs.Spec.Template.Spec.Containers[0].Image, (*string)(nil))
	}},
	{"the scale of a deployment is read and updated", func(ctx context.Context, w *world) {
		deployments := w.typed.AppsV1().Deployments(w.namespace)
		scale := get(deployments.GetScale(ctx, "patched", metav1.GetOptions{}))
		equal(scale.Status.Selector, "app=patched")
		scale.Spec.Replicas = 1
		get(deployments.UpdateScale(ctx, "patched", scale, metav1.UpdateOptions{}))
		equal(*get(deployments.Get(ctx, "patched", metav1.GetOptions{})).Spec.Replicas, int32(1))
		_, err := deployments.UpdateScale(ctx, "patched", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "patched"}, Spec: autoscalingv1.ScaleSpec{Replicas: -1}}, metav1.UpdateOptions{})
		refused(err, apierrors.IsInvalid, "spec.replicas: Invalid value: -1")
	}},
	{"an eviction waits for its budget", func(ctx context.Context, w *world) {
		pods := w.typed.CoreV1().Pods(w.namespace)
		get(pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "evicted"}, Spec: podSpec()}, metav1.CreateOptions{}))
		must(w.typed.PolicyV1().Evictions(w.namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "evicted", Namespace: w.namespace}}))
		_, err := pods.Get(ctx, "evicted", metav1.GetOptions{})
		refused(err, apierrors.IsNotFound, "not found")
		if w.pod == "" {
			return
		}
		budgets := w.typed.PolicyV1().PodDisruptionBudgets(w.podNamespace)
		all := intstr.FromString("100%")
		get(budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}, metav1.CreateOptions{}))
		defer budgets.Delete(ctx, "all", metav1.DeleteOptions{})
		until(ctx, "the disruption controller has looked", func() bool { return get(budgets.Get(ctx, "all", metav1.GetOptions{})).Status.ExpectedPods > 0 })
		err = w.typed.PolicyV1().Evictions(w.podNamespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: w.pod, Namespace: w.podNamespace}})
		refused(err, apierrors.IsTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.")
	}},
	{"a token is requested, reviewed and used; what it may not do is said", func(ctx context.Context, w *world) {
		accounts := w.typed.CoreV1().ServiceAccounts(w.namespace)
		get(accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}))
		seconds := int64(3600)
		request := get(accounts.CreateToken(ctx, "robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{}))
		if left := time.Until(request.Status.ExpirationTimestamp.Time); left < 59*time.Minute || left > 61*time.Minute {
			fail("expires in %v", left)
		}
		name := "system:serviceaccount:" + w.namespace + ":robot"
		review := get(w.typed.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: request.Status.Token}}, metav1.CreateOptions{}))
		equal([]any{review.Status.Authenticated, review.Status.User.Username}, []any{true, name})
		robot := rest.AnonymousClientConfig(w.config)
		robot.BearerToken = request.Status.Token
		robot.QPS = -1
		asRobot := get(kubernetes.NewForConfig(robot))
		equal(get(asRobot.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})).Status.UserInfo.Username, name)
		_, err := asRobot.CoreV1().Secrets(w.namespace).List(ctx, metav1.ListOptions{})
		refused(err, apierrors.IsForbidden, fmt.Sprintf(`secrets is forbidden: User %q cannot list resource "secrets" in API group "" in the namespace %q`, name, w.namespace))
		may := func(user, verb string) bool {
			return get(w.typed.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: []string{"system:authenticated"}, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: w.namespace, Verb: verb, Resource: "pods"}}}, metav1.CreateOptions{})).Status.Allowed
		}
		equal([]bool{may(name, "list"), may("nobody", "get")}, []bool{false, false})
		self := get(w.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "*", Resource: "*"}}}, metav1.CreateOptions{}))
		equal(self.Status.Allowed, true)
		rules := get(asRobot.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: w.namespace}}, metav1.CreateOptions{}))
		if rules.Status.Incomplete || len(rules.Status.ResourceRules) == 0 {
			fail("rules: %+v", rules.Status)
		}
		robot.BearerToken = "none"
		_, err = get(kubernetes.NewForConfig(robot)).CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		refused(err, apierrors.IsUnauthorized, "Unauthorized")
		impersonating := rest.CopyConfig(w.config)
		impersonating.Impersonate = rest.ImpersonationConfig{UserName: "jane", Groups: []string{"dev"}, Extra: map[string][]string{"Scope": {"a"}}}
		jane := get(get(kubernetes.NewForConfig(impersonating)).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})).Status.UserInfo
		equal([]any{jane.Username, jane.Extra["scope"]}, []any{"jane", authenticationv1.ExtraValue{"a"}})
	}},
	{"a pager reads pages", func(ctx context.Context, w *world) {
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		for i := range 25 {
			get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("page-%02d", i), Labels: map[string]string{"paged": "yes"}}}, metav1.CreateOptions{}))
		}
		options := metav1.ListOptions{LabelSelector: "paged=yes"}
		pages := 0
		p := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) { pages++; return maps.List(ctx, o) }))
		p.PageSize = 10
		seen := 0
		must(p.EachListItem(ctx, options, func(runtime.Object) error { seen++; return nil }))
		equal([]int{pages, seen}, []int{3, 25})
		whole := get(maps.List(ctx, metav1.ListOptions{Limit: 10}))
		if whole.Continue == "" || whole.RemainingItemCount == nil {
			fail("no continue or no remaining count: %+v", whole.ListMeta)
		}
		_, err := maps.List(ctx, metav1.ListOptions{Limit: 10, Continue: "nonsense"})
		refused(err, apierrors.IsBadRequest, "continue key is not valid")
		must(maps.DeleteCollection(ctx, metav1.DeleteOptions{}, options))
		equal(len(get(maps.List(ctx, options)).Items), 0)
	}},
	{"watches start where they are told, send bookmarks, and say what they cannot", func(ctx context.Context, w *world) {
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		from := get(maps.List(ctx, metav1.ListOptions{})).ResourceVersion
		made := get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "watched"}}, metav1.CreateOptions{}))
		must(maps.Delete(ctx, "watched", metav1.DeleteOptions{}))
		watch := get(maps.Watch(ctx, metav1.ListOptions{ResourceVersion: from, FieldSelector: "metadata.name=watched"}))
		added, deleted := <-watch.ResultChan(), <-watch.ResultChan()
		watch.Stop()
		equal([]any{string(added.Type), added.Object, string(deleted.Type)}, []any{"ADDED", runtime.Object(made), "DELETED"})
		no := false
		yes := true
		initial := get(maps.Watch(ctx, metav1.ListOptions{SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}))
		for event := range initial.ResultChan() {
			if event.Type == "BOOKMARK" {
				annotations := event.Object.(*corev1.ConfigMap).Annotations
				equal(annotations[metav1.InitialEventsAnnotationKey], "true")
				// client-go 0.36 has no constant for it any more; older reflectors look for it.
				if annotations["kubernetes.io/initial-events-list-blueprint"] == "" {
					fail("no blueprint of the list: %v", annotations)
				}
				initial.Stop()
				break
			}
		}
		_, err := maps.Watch(ctx, metav1.ListOptions{SendInitialEvents: &no})
		refused(err, apierrors.IsInvalid, "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
	}},
	{"leaders are elected by a Lease, and hand over", func(ctx context.Context, w *world) {
		lead := func(ctx context.Context, id string, started chan<- string) <-chan struct{} {
			lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: w.namespace}, Client: w.typed.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: id}}
			elector := get(leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{Lock: lock, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
				Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { started <- id }, OnStoppedLeading: func() {}}}))
			done := make(chan struct{})
			go func() { elector.Run(ctx); close(done) }()
			return done
		}
		started := make(chan string, 2)
		first, stop := context.WithCancel(ctx)
		done := lead(first, "one", started)
		equal(<-started, "one")
		second, stopSecond := context.WithCancel(ctx)
		defer stopSecond()
		lead(second, "two", started)
		stop()
		<-done
		select {
		case id := <-started:
			equal(id, "two")
		case <-ctx.Done():
			fail("nobody took over")
		}
		lease := get(w.typed.CoordinationV1().Leases(w.namespace).Get(ctx, "leader", metav1.GetOptions{}))
		equal([]any{*lease.Spec.HolderIdentity, *lease.Spec.LeaseTransitions >= 1, lease.Spec.RenewTime.Nanosecond() % 1000}, []any{"two", true, 0})
	}},
	{"recorded events are counted up", func(ctx context.Context, w *world) {
		broadcaster := record.NewBroadcaster()
		defer broadcaster.Shutdown()
		broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: w.typed.CoreV1().Events("")})
		about := get(w.typed.CoreV1().ConfigMaps(w.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "told"}}, metav1.CreateOptions{}))
		recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "clients"})
		for range 3 {
			recorder.Event(about, corev1.EventTypeNormal, "Tried", "it was tried")
		}
		events := w.typed.CoreV1().Events(w.namespace)
		until(ctx, "one event that was counted three times", func() bool {
			found := get(events.Search(scheme.Scheme, about)).Items
			return len(found) == 1 && found[0].Count == 3 && found[0].Message == "it was tried" && found[0].Source.Component == "clients"
		})
		raw := get(json.Marshal(get(w.typed.EventsV1().Events(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Tried"})).Items[0].DeprecatedCount))
		equal(string(raw), "3")
	}},
}
