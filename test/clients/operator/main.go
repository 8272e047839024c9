// An operator on controller-runtime v0.24: for each Shop it keeps a Deployment and a ConfigMap of names, says so in the
// Shop's status and in events, and counts down with a finalizer. Webhooks default and refuse Shops. It leads by a Lease
// and ends when it is told to on stdin. test/clients/operator.clients.ts starts it and looks at what it does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var shopKind = schema.GroupVersionKind{Group: "op.example.com", Version: "v1", Kind: "Shop"}

const (
	finalizer = "op.example.com/count"
	byOwner   = "by-shop"
)

func newShop() *unstructured.Unstructured {
	shop := &unstructured.Unstructured{}
	shop.SetGroupVersionKind(shopKind)
	return shop
}

type reconciler struct {
	client.Client
	events events.EventRecorder
}

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	shop := newShop()
	if err := r.Get(ctx, req.NamespacedName, shop); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if shop.GetDeletionTimestamp() != nil {
		if controllerutil.RemoveFinalizer(shop, finalizer) {
			fmt.Printf("FINAL %s\n", req.Name)
			return ctrl.Result{}, client.IgnoreNotFound(r.Update(ctx, shop))
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(shop, finalizer) {
		return ctrl.Result{}, r.Update(ctx, shop)
	}
	image, _, _ := unstructured.NestedString(shop.Object, "spec", "image")
	labels := map[string]string{"shop": shop.GetName()}
	owner := metaac.OwnerReference().WithAPIVersion(shop.GetAPIVersion()).WithKind(shop.GetKind()).WithName(shop.GetName()).WithUID(shop.GetUID()).WithController(true).WithBlockOwnerDeletion(true)
	deployment := appsac.Deployment(shop.GetName(), shop.GetNamespace()).WithLabels(labels).WithOwnerReferences(owner).
		WithSpec(appsac.DeploymentSpec().WithSelector(metaac.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(coreac.PodTemplateSpec().WithLabels(labels).
				WithSpec(coreac.PodSpec().WithTerminationGracePeriodSeconds(0).
					WithContainers(coreac.Container().WithName("main").WithImage(image).WithCommand("sleep", "1000000")))))
	if err := r.Apply(ctx, deployment, client.FieldOwner("shop-operator"), client.ForceOwnership); err != nil {
		return ctrl.Result{}, err
	}
	// The cache may be behind its own write: what is not there yet comes as an event.
	found := &appsv1.Deployment{}
	if err := r.Get(ctx, req.NamespacedName, found); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	wanted, _, _ := unstructured.NestedInt64(shop.Object, "spec", "replicas")
	if found.Spec.Replicas == nil || int64(*found.Spec.Replicas) != wanted {
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: int32(wanted)}}
		if err := r.SubResource("scale").Update(ctx, found, client.WithSubResourceBody(scale)); err != nil {
			return ctrl.Result{}, err
		}
	}
	var pods corev1.PodList
	if err := r.List(ctx, &pods, client.InNamespace(req.Namespace), client.MatchingFields{byOwner: shop.GetName()}); err != nil {
		return ctrl.Result{}, err
	}
	names := map[string]string{}
	for i := range pods.Items {
		names[pods.Items[i].Name] = pods.Items[i].Status.PodIP
	}
	list := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: shop.GetName(), Namespace: shop.GetNamespace()}}
	if _, err := controllerutil.CreateOrPatch(ctx, r.Client, list, func() error {
		list.Data = names
		return controllerutil.SetControllerReference(shop, list, r.Scheme())
	}); err != nil {
		return ctrl.Result{}, err
	}
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := r.Get(ctx, req.NamespacedName, secret); err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, err
	}
	before := shop.DeepCopy()
	condition := metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Waiting", ObservedGeneration: shop.GetGeneration()}
	if found.Status.ReadyReplicas == int32(wanted) && found.Status.ObservedGeneration == found.Generation {
		condition.Status, condition.Reason = metav1.ConditionTrue, "AllReady"
	}
	conditions := readConditions(shop)
	if !meta.SetStatusCondition(&conditions, condition) && len(secret.Labels) == 0 {
		return ctrl.Result{}, nil
	}
	raw, err := json.Marshal(map[string]any{"ready": found.Status.ReadyReplicas, "secretLabels": secret.Labels, "conditions": conditions})
	if err != nil {
		return ctrl.Result{}, err
	}
	status := map[string]any{}
	if err := json.Unmarshal(raw, &status); err != nil {
		return ctrl.Result{}, err
	}
	shop.Object["status"] = status
	if err := r.Status().Patch(ctx, shop, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return ctrl.Result{}, err
	}
	r.events.Eventf(shop, found, corev1.EventTypeNormal, condition.Reason, "Reconcile", "%d of %d", found.Status.ReadyReplicas, wanted)
	return ctrl.Result{}, nil
}

func readConditions(shop *unstructured.Unstructured) []metav1.Condition {
	var read struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	raw, err := json.Marshal(shop.Object)
	if err == nil {
		err = json.Unmarshal(raw, &read)
	}
	if err != nil {
		panic(err)
	}
	return read.Status.Conditions
}

func defaults(_ context.Context, req admission.Request) admission.Response {
	shop := newShop()
	if err := shop.UnmarshalJSON(req.Object.Raw); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if _, there, _ := unstructured.NestedInt64(shop.Object, "spec", "replicas"); !there {
		if err := unstructured.SetNestedField(shop.Object, int64(1), "spec", "replicas"); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	raw, err := shop.MarshalJSON()
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(req.Object.Raw, raw)
}

func refusals(_ context.Context, req admission.Request) admission.Response {
	shop := newShop()
	if err := shop.UnmarshalJSON(req.Object.Raw); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if replicas, _, _ := unstructured.NestedInt64(shop.Object, "spec", "replicas"); replicas > 3 {
		return admission.Denied("three at most")
	}
	return admission.Allowed("").WithWarnings("shops are checked")
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED", err)
		os.Exit(1)
	}
}

func main() {
	var kubeconfig, content, certs, identity string
	var port int
	flag.StringVar(&kubeconfig, "config", "", "kubeconfig")
	flag.StringVar(&content, "content", "", "content type of built-in kinds")
	flag.StringVar(&certs, "certs", "", "directory with tls.crt and tls.key of the webhooks")
	flag.StringVar(&identity, "name", "", "what it says it is")
	flag.IntVar(&port, "port", 9443, "of the webhooks")
	flag.Parse()
	ctrl.SetLogger(klog.Background())

	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	must(err)
	config.ContentType = content
	manager, err := ctrl.NewManager(config, ctrl.Options{
		LeaderElection: true, LeaderElectionID: "shop-operator", LeaderElectionNamespace: "default", LeaderElectionReleaseOnCancel: true,
		Metrics:       metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Port: port, CertDir: certs}),
		Client:        client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	must(err)
	ctx, cancel := context.WithCancel(ctrl.SetupSignalHandler())
	must(manager.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, byOwner, func(o client.Object) []string { return []string{o.GetLabels()["shop"]} }))
	manager.GetWebhookServer().Register("/defaults", &webhook.Admission{Handler: admission.HandlerFunc(defaults)})
	manager.GetWebhookServer().Register("/refusals", &webhook.Admission{Handler: admission.HandlerFunc(refusals)})
	must(ctrl.NewControllerManagedBy(manager).Named("shops").For(newShop()).Owns(&appsv1.Deployment{}).Owns(&corev1.ConfigMap{}).
		Complete(&reconciler{Client: manager.GetClient(), events: manager.GetEventRecorder("shop-operator")}))
	go func() {
		<-manager.Elected()
		fmt.Printf("LEADS %s\n", identity)
	}()
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if lines.Text() == "end" {
				cancel()
			}
		}
	}()
	must(manager.Start(ctx))
	fmt.Printf("ENDED %s\n", identity)
}
