package main

// Informers: shared, dynamic, metadata; whether they list and watch or watch lists is KUBE_FEATURE_WatchListClient's to say.

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// How often each was told.
type told struct{ added, updated, deleted atomic.Int32 }

func (t *told) handlers() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{AddFunc: func(any) { t.added.Add(1) }, UpdateFunc: func(before, after any) {
		if before.(metav1.Object).GetResourceVersion() != after.(metav1.Object).GetResourceVersion() {
			t.updated.Add(1)
		}
	}, DeleteFunc: func(any) { t.deleted.Add(1) }}
}

func (t *told) all() [3]int32 {
	return [3]int32{t.added.Load(), t.updated.Load(), t.deleted.Load()}
}

// Changes config maps under a running informer and holds what it was told and has against what is there.
func follow(ctx context.Context, w *world, label string, informer cache.SharedIndexInformer) {
	maps := w.typed.CoreV1().ConfigMaps(w.namespace)
	make := func(name string) {
		get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: label + name, Labels: map[string]string{"informed": label}}}, metav1.CreateOptions{}))
	}
	make("before")
	t := &told{}
	get(informer.AddEventHandler(t.handlers()))
	go informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		fail("not synced")
	}
	if len(informer.GetStore().ListKeys()) != 1 {
		fail("has %v", informer.GetStore().ListKeys())
	}
	for i := range 20 {
		make(fmt.Sprint(i))
	}
	get(maps.Patch(ctx, label+"before", types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`), metav1.PatchOptions{}))
	get(maps.Patch(ctx, label+"7", types.MergePatchType, []byte(`{"metadata":{"labels":{"informed":null}}}`), metav1.PatchOptions{}))
	must(maps.Delete(ctx, label+"3", metav1.DeleteOptions{}))
	until(ctx, "21 added, 1 updated, 2 deleted", func() bool { return t.all() == [3]int32{21, 1, 2} })
	equal(len(informer.GetStore().ListKeys()), 19)
}

var informerChecks = []check{
	{"shared informers hold pods, config maps and nodes", func(ctx context.Context, w *world) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		all := informers.NewSharedInformerFactory(w.typed, 0)
		nodes, pods := all.Core().V1().Nodes(), all.Core().V1().Pods()
		nodes.Informer()
		pods.Informer()
		all.Start(ctx.Done())
		for kind, synced := range all.WaitForCacheSync(ctx.Done()) {
			if !synced {
				fail("%v is not synced", kind)
			}
		}
		real := get(w.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{}))
		equal(len(nodes.Informer().GetStore().List()), len(real.Items))
		if w.pod != "" {
			pod := get(pods.Lister().Pods(w.podNamespace).Get(w.pod))
			equal(pod.Status.Phase, corev1.PodRunning)
		}
		follow(ctx, w, "shared", informers.NewSharedInformerFactoryWithOptions(w.typed, 100*time.Millisecond, informers.WithNamespace(w.namespace), informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "informed=shared" })).Core().V1().ConfigMaps().Informer())
	}},
	{"dynamic informers", func(ctx context.Context, w *world) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		follow(ctx, w, "dynamic", dynamicinformer.NewFilteredDynamicSharedInformerFactory(w.dynamic, 0, w.namespace, func(o *metav1.ListOptions) { o.LabelSelector = "informed=dynamic" }).ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Informer())
		client := defineBoards(ctx, w)
		informer := dynamicinformer.NewFilteredDynamicSharedInformerFactory(w.dynamic, 0, w.namespace, func(o *metav1.ListOptions) { o.FieldSelector = "spec.color=white" }).ForResource(boards).Informer()
		t := &told{}
		get(informer.AddEventHandler(t.handlers()))
		go informer.Run(ctx.Done())
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			fail("not synced")
		}
		get(client.Create(ctx, board("white", map[string]any{"color": "white"}), metav1.CreateOptions{}))
		get(client.Patch(ctx, "white", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{}))
		get(client.Patch(ctx, "white", types.MergePatchType, []byte(`{"spec":{"color":"red"}}`), metav1.PatchOptions{}))
		until(ctx, "added, updated, deleted as it leaves the selection", func() bool { return t.all() == [3]int32{1, 1, 1} })
	}},
	{"metadata informers", func(ctx context.Context, w *world) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		follow(ctx, w, "metadata", metadatainformer.NewFilteredSharedInformerFactory(w.metadata, 0, w.namespace, func(o *metav1.ListOptions) { o.LabelSelector = "informed=metadata" }).ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Informer())
	}},
}

var restartChecks = []check{
	{"informers go on after the server has restarted, and miss nothing", func(ctx context.Context, w *world) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		client := defineBoards(ctx, w)
		selected := func(o *metav1.ListOptions) { o.LabelSelector = "over=restart" }
		labels := map[string]string{"over": "restart"}
		typed := informers.NewSharedInformerFactoryWithOptions(w.typed, 0, informers.WithNamespace(w.namespace), informers.WithTweakListOptions(selected)).Core().V1().ConfigMaps().Informer()
		custom := dynamicinformer.NewFilteredDynamicSharedInformerFactory(w.dynamic, 0, w.namespace, selected).ForResource(boards).Informer()
		partial := metadatainformer.NewFilteredSharedInformerFactory(w.metadata, 0, w.namespace, selected).ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Informer()
		counts := []*told{{}, {}, {}}
		for i, informer := range []cache.SharedIndexInformer{typed, custom, partial} {
			get(informer.AddEventHandler(counts[i].handlers()))
			go informer.Run(ctx.Done())
		}
		if !cache.WaitForCacheSync(ctx.Done(), typed.HasSynced, custom.HasSynced, partial.HasSynced) {
			fail("not synced")
		}
		make := func(name string) {
			get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{}))
			b := board(name, map[string]any{})
			b.SetLabels(labels)
			get(client.Create(ctx, b, metav1.CreateOptions{}))
		}
		make("early")
		w.restart()
		make("late")
		must(maps.Delete(ctx, "early", metav1.DeleteOptions{}))
		must(client.Delete(ctx, "early", metav1.DeleteOptions{}))
		for _, t := range counts {
			until(ctx, "two added, one deleted, by each", func() bool { return t.all() == [3]int32{2, 0, 1} })
		}
	}},
}
