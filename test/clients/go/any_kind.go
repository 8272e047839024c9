package main

// Clients that know no kinds: discovery, dynamic, metadata and scale clients, on a kind that a CustomResourceDefinition makes.

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	boards      = schema.GroupVersionResource{Group: "clients.example.com", Version: "v1", Resource: "boards"}
)

func object(of map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: of}
}

func board(name string, spec map[string]any) *unstructured.Unstructured {
	return object(map[string]any{"apiVersion": "clients.example.com/v1", "kind": "Board", "metadata": map[string]any{"name": name}, "spec": spec})
}

// Made by whichever check comes first; stays to the end of the cluster.
func defineBoards(ctx context.Context, w *world) dynamic.ResourceInterface {
	_, err := w.dynamic.Resource(definitions).Create(ctx, object(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "boards.clients.example.com"},
		"spec": map[string]any{"group": "clients.example.com", "scope": "Namespaced", "names": map[string]any{"plural": "boards", "singular": "board", "kind": "Board", "shortNames": []any{"bd"}, "categories": []any{"all"}},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"subresources":             map[string]any{"status": map[string]any{}, "scale": map[string]any{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
				"selectableFields":         []any{map[string]any{"jsonPath": ".spec.color"}},
				"additionalPrinterColumns": []any{map[string]any{"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"spec": map[string]any{"type": "object", "properties": map[string]any{"replicas": map[string]any{"type": "integer", "minimum": 0, "maximum": 5, "default": 1}, "color": map[string]any{"type": "string"}},
						"x-kubernetes-validations": []any{map[string]any{"rule": "!has(self.color) || self.color != 'grey'", "message": "grey is no color"}}},
					"status": map[string]any{"type": "object", "properties": map[string]any{"replicas": map[string]any{"type": "integer"}, "selector": map[string]any{"type": "string"}}},
				}}},
			}}},
	}), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		must(err)
	}
	until(ctx, "the definition is established", func() bool {
		d := get(w.dynamic.Resource(definitions).Get(ctx, "boards.clients.example.com", metav1.GetOptions{}))
		conditions, _, _ := unstructured.NestedSlice(d.Object, "status", "conditions")
		for _, c := range conditions {
			if m := c.(map[string]any); m["type"] == "Established" && m["status"] == "True" {
				return true
			}
		}
		return false
	})
	return w.dynamic.Resource(boards).Namespace(w.namespace)
}

var anyKindChecks = []check{
	{"a kind that a definition makes is served: defaults, rules, status, conflicts, apply", func(ctx context.Context, w *world) {
		client := defineBoards(ctx, w)
		made := get(client.Create(ctx, board("b", map[string]any{"color": "red", "junk": int64(1)}), metav1.CreateOptions{}))
		equal(made.Object["spec"], map[string]any{"color": "red", "replicas": int64(1)})
		_, err := client.Create(ctx, board("c", map[string]any{"replicas": int64(9)}), metav1.CreateOptions{})
		refused(err, apierrors.IsInvalid, "spec.replicas: Invalid value: 9: spec.replicas in body should be less than or equal to 5")
		_, err = client.Create(ctx, board("c", map[string]any{"color": "grey"}), metav1.CreateOptions{})
		refused(err, apierrors.IsInvalid, "grey is no color")
		_, err = client.Create(ctx, board("c", map[string]any{"junk": int64(1)}), metav1.CreateOptions{FieldValidation: "Strict"})
		refused(err, apierrors.IsBadRequest, `unknown field "spec.junk"`)
		made.Object["status"] = map[string]any{"replicas": int64(3), "selector": "a=b"}
		made.Object["spec"] = map[string]any{"color": "blue"}
		status := get(client.UpdateStatus(ctx, made, metav1.UpdateOptions{}))
		equal([]any{status.Object["spec"], status.Object["status"], status.GetGeneration()}, []any{map[string]any{"color": "red", "replicas": int64(1)}, map[string]any{"replicas": int64(3), "selector": "a=b"}, int64(1)})
		_, err = client.Update(ctx, made, metav1.UpdateOptions{})
		refused(err, apierrors.IsConflict, "the object has been modified")
		merged := get(client.Patch(ctx, "b", types.MergePatchType, []byte(`{"spec":{"color":"green"}}`), metav1.PatchOptions{}))
		equal(merged.GetGeneration(), int64(2))
		_, err = client.Patch(ctx, "b", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
		refused(err, apierrors.IsUnsupportedMediaType, "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
		_, err = client.Apply(ctx, "b", board("b", map[string]any{"color": "pink"}), metav1.ApplyOptions{FieldManager: "applier"})
		refused(err, apierrors.IsConflict, ".spec.color")
		applied := get(client.Apply(ctx, "b", board("b", map[string]any{"color": "pink"}), metav1.ApplyOptions{FieldManager: "applier", Force: true}))
		equal(applied.Object["spec"].(map[string]any)["color"], "pink")
		get(client.Create(ctx, board("other", map[string]any{"color": "black"}), metav1.CreateOptions{}))
		pink := get(client.List(ctx, metav1.ListOptions{FieldSelector: "spec.color=pink"}))
		equal([]any{len(pink.Items), pink.GetKind()}, []any{1, "BoardList"})
	}},
	{"discovery: aggregated and not, groups preferred, the new kind, OpenAPI", func(ctx context.Context, w *world) {
		defineBoards(ctx, w)
		lists := func(client *discovery.DiscoveryClient) map[string]string {
			found := map[string]string{}
			_, resources, err := client.ServerGroupsAndResources()
			must(err)
			for _, list := range resources {
				for _, r := range list.APIResources {
					found[list.GroupVersion+"/"+r.Name] = strings.Join(append([]string{r.Kind, r.SingularName, r.Version, r.Group}, r.Verbs...), " ") + strings.Join(r.ShortNames, ",") + strings.Join(r.Categories, ",")
				}
			}
			return found
		}
		aggregated := lists(w.discovery)
		plain := *w.discovery
		plain.UseLegacyDiscovery = true
		one := lists(&plain)
		// Aggregated discovery leaves out what is the list's own: client-go fills in group and version where they are another's.
		for name := range one {
			if _, is := aggregated[name]; !is {
				fail("%s is not in aggregated discovery", name)
			}
		}
		equal(len(aggregated), len(one))
		for _, name := range []string{"v1/pods", "v1/pods/ephemeralcontainers", "apps/v1/deployments/scale", "clients.example.com/v1/boards/scale"} {
			if one[name] == "" {
				fail("no %s", name)
			}
		}
		get(w.discovery.OpenAPISchema())
		paths := get(w.discovery.OpenAPIV3().Paths())
		get(paths["apis/clients.example.com/v1"].Schema("application/json"))
		get(w.discovery.ServerPreferredResources())
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(w.discovery))
		mapping := get(mapper.RESTMapping(schema.GroupKind{Group: "clients.example.com", Kind: "Board"}))
		equal([]any{mapping.Resource, string(mapping.Scope.Name())}, []any{boards, "namespace"})
		equal(get(restmapper.NewShortcutExpander(mapper, w.discovery, nil).ResourceFor(schema.GroupVersionResource{Resource: "bd"})), boards)
		get(w.discovery.ServerVersion())
	}},
	{"the scale client scales what it does not know", func(ctx context.Context, w *world) {
		client := defineBoards(ctx, w)
		_, err := client.Create(ctx, board("scaled", map[string]any{}), metav1.CreateOptions{})
		must(err)
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(w.discovery))
		scales := get(scale.NewForConfig(w.json, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(w.discovery)))
		resource := boards.GroupResource()
		found := get(scales.Scales(w.namespace).Get(ctx, resource, "scaled", metav1.GetOptions{}))
		equal(found.Spec.Replicas, int32(1))
		found.Spec.Replicas = 4
		get(scales.Scales(w.namespace).Update(ctx, resource, found, metav1.UpdateOptions{}))
		get(scales.Scales(w.namespace).Patch(ctx, boards, "scaled", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{}))
		equal(get(client.Get(ctx, "scaled", metav1.GetOptions{})).Object["spec"], map[string]any{"replicas": int64(5)})
		deployment := get(scales.Scales(w.namespace).Get(ctx, schema.GroupResource{Group: "apps", Resource: "deployments"}, "patched", metav1.GetOptions{}))
		equal(deployment.Status.Selector, "app=patched")
	}},
	{"the metadata client reads, lists, patches and deletes", func(ctx context.Context, w *world) {
		get(w.typed.CoreV1().ConfigMaps(w.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "meta", Labels: map[string]string{"m": "1"}}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{}))
		client := w.metadata.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(w.namespace)
		one := get(client.Get(ctx, "meta", metav1.GetOptions{}))
		equal([]any{one.Name, one.Labels}, []any{"meta", map[string]string{"m": "1"}})
		many := get(client.List(ctx, metav1.ListOptions{LabelSelector: "m=1"}))
		equal(len(many.Items), 1)
		patched := get(client.Patch(ctx, "meta", types.MergePatchType, []byte(`{"metadata":{"annotations":{"x":"y"}}}`), metav1.PatchOptions{}))
		equal(patched.Annotations, map[string]string{"x": "y"})
		must(client.Delete(ctx, "meta", metav1.DeleteOptions{}))
		_, err := client.Get(ctx, "meta", metav1.GetOptions{})
		refused(err, apierrors.IsNotFound, `configmaps "meta" not found`)
	}},
}
