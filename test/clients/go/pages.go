package main

// Lists in pages whose state the server has forgotten before the last page was read.

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/pager"
)

const tooOldToContinue = "The provided continue parameter is too old to display a consistent list result."

// Nine config maps of that label, to be read by fours.
func nineMaps(ctx context.Context, w *world, label string) metav1.ListOptions {
	for i := range 9 {
		get(w.typed.CoreV1().ConfigMaps(w.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", label, i), Labels: map[string]string{"nine": label}}}, metav1.CreateOptions{}))
	}
	return metav1.ListOptions{LabelSelector: "nine=" + label, Limit: 4}
}

// Writes more than the server keeps for reads of older states: ten thousand changes it promises, and what has room in its memory.
func forget(ctx context.Context, w *world) {
	maps := w.typed.CoreV1().ConfigMaps(w.namespace)
	const writers, writes = 16, 650
	failures := make(chan error, writers)
	for range writers {
		go func() { failures <- churn(ctx, maps, writes) }()
	}
	for range writers {
		must(<-failures)
	}
}

func churn(ctx context.Context, maps typed.ConfigMapInterface, writes int) error {
	made, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "churn-"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for i := range writes {
		if _, err := maps.Patch(ctx, made.Name, types.MergePatchType, []byte(fmt.Sprintf(`{"data":{"n":"%d","big":%q}}`, i, strings.Repeat("x", 1_000))), metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	return maps.Delete(ctx, made.Name, metav1.DeleteOptions{})
}

func namesOf(list *corev1.ConfigMapList) string {
	var all []string
	for _, item := range list.Items {
		all = append(all, item.Name)
	}
	return strings.Join(all, " ")
}

var pageChecks = []check{
	{"a list whose pages expired goes on at a newer state, which it then keeps to", func(ctx context.Context, w *world) {
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		options := nineMaps(ctx, w, "on")
		first := get(maps.List(ctx, options))
		equal(namesOf(first), "on-0 on-1 on-2 on-3")
		must(maps.Delete(ctx, "on-4", metav1.DeleteOptions{}))
		forget(ctx, w)
		options.Continue = first.Continue
		_, err := maps.List(ctx, options)
		refused(err, apierrors.IsResourceExpired, tooOldToContinue)
		status := err.(apierrors.APIStatus).Status()
		equal([]any{status.Code, status.Reason}, []any{int32(410), metav1.StatusReasonExpired})

		options.Continue = status.Continue
		options.Limit = 2
		second := get(maps.List(ctx, options))
		equal([]any{namesOf(second), second.ResourceVersion == first.ResourceVersion, second.Continue == ""}, []any{"on-5 on-6", false, false})
		must(maps.Delete(ctx, "on-8", metav1.DeleteOptions{}))
		// With a selector, a page may end where nothing more is found.
		var rest []string
		for next := second.Continue; next != ""; {
			options.Continue = next
			page := get(maps.List(ctx, options))
			equal(page.ResourceVersion, second.ResourceVersion)
			if len(page.Items) > 0 {
				rest = append(rest, namesOf(page))
			}
			next = page.Continue
		}
		equal(rest, []string{"on-7 on-8"})
	}},
	{"a pager whose pages expired reads the whole list again, or says so", func(ctx context.Context, w *world) {
		maps := w.typed.CoreV1().ConfigMaps(w.namespace)
		options := nineMaps(ctx, w, "whole")
		asked := []int64{}
		p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if asked = append(asked, o.Limit); len(asked) == 2 {
				forget(ctx, w)
			}
			return maps.List(ctx, o)
		})
		whole, isPaged, err := p.List(ctx, options)
		must(err)
		equal([]any{namesOf(whole.(*corev1.ConfigMapList)), isPaged, asked}, []any{"whole-0 whole-1 whole-2 whole-3 whole-4 whole-5 whole-6 whole-7 whole-8", true, []int64{4, 4, 0}})

		asked, p.FullListIfExpired, p.PageSize = nil, false, 4
		err = p.EachListItem(ctx, metav1.ListOptions{LabelSelector: options.LabelSelector}, func(runtime.Object) error { return nil })
		refused(err, apierrors.IsResourceExpired, tooOldToContinue)
	}},
}
