package main

// Several servers, of which the one that leads is killed: each check asks the test to do so, and has a client for each server.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	watchtools "k8s.io/client-go/tools/watch"
)

// The clients of one server.
type server struct {
	typed    kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
}

// The server that leads now, and the others.
func (w *world) leading() (server, []server) {
	at := get(strconv.Atoi(w.ask("LEADER")))
	return w.servers[at], slices.Delete(slices.Clone(w.servers), at, at+1)
}

// Waits, but no longer than until the check's end, for what a channel brings.
func next[T any](ctx context.Context, what string, from <-chan T) T {
	select {
	case got := <-from:
		return got
	case <-ctx.Done():
		fail("%v: %s", ctx.Err(), what)
		panic("not reached")
	}
}

// Candidates for one Lease, with the durations that most controllers take. Never may two lead at once.
type election struct {
	name    string
	leading atomic.Int32
	most    atomic.Int32
	started chan string
	stopped chan string
}

func elect(name string) *election {
	return &election{name: name, started: make(chan string, 10), stopped: make(chan string, 10)}
}

func (e *election) candidate(ctx context.Context, w *world, id string, through server) {
	lock := get(resourcelock.New(resourcelock.LeasesResourceLock, w.namespace, e.name, through.typed.CoreV1(), through.typed.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: id}))
	elector := get(leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) {
				if now := e.leading.Add(1); now > e.most.Load() {
					e.most.Store(now)
				}
				e.started <- id
			},
			OnStoppedLeading: func() { e.leading.Add(-1); e.stopped <- id },
		},
	}))
	go elector.Run(ctx)
}

// What one informer was told: revisions of each object, which may only grow.
type revisions struct {
	sync.Mutex
	newest    map[string]int
	backwards []string
}

func (r *revisions) OnAdd(it any, _ bool)  { r.told(it) }
func (r *revisions) OnUpdate(_, after any) { r.told(after) }
func (r *revisions) OnDelete(any)          {}
func (r *revisions) told(it any) {
	r.Lock()
	defer r.Unlock()
	o := it.(metav1.Object)
	revision := get(strconv.Atoi(o.GetResourceVersion()))
	if revision < r.newest[o.GetName()] {
		r.backwards = append(r.backwards, fmt.Sprintf("%s: %d after %d", o.GetName(), revision, r.newest[o.GetName()]))
	}
	r.newest[o.GetName()] = revision
}

// A client that writes until it is stopped; what was acknowledged, by name and revision.
type writer struct {
	sync.Mutex
	acknowledged map[string]string
	revisions    []string
	done         chan struct{}
}

func (a *writer) count() int {
	a.Lock()
	defer a.Unlock()
	return len(a.revisions)
}

func write(ctx context.Context, w *world, through server, labels map[string]string) *writer {
	a := &writer{acknowledged: map[string]string{}, done: make(chan struct{})}
	client := through.typed.CoreV1().ConfigMaps(w.namespace)
	go func() {
		defer close(a.done)
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprintf("written-%d", n%10)
			made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Data: map[string]string{"n": strconv.Itoa(n)}}
			answer, err := client.Update(ctx, made, metav1.UpdateOptions{})
			if apierrors.IsNotFound(err) {
				answer, err = client.Create(ctx, made, metav1.CreateOptions{})
			}
			if err != nil { // While nobody leads.
				time.Sleep(20 * time.Millisecond)
				continue
			}
			a.Lock()
			a.acknowledged[name] = answer.ResourceVersion
			a.revisions = append(a.revisions, answer.ResourceVersion)
			a.Unlock()
		}
	}()
	return a
}

var serversChecks = []check{
	{"the elected lead on when the leading server is killed, unless they ask that one: then another one follows, and never are there two", func(ctx context.Context, w *world) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		leader, others := w.leading()
		stays, moves := elect("stays"), elect("moves")
		stays.candidate(ctx, w, "follower", others[0])
		moves.candidate(ctx, w, "leader", leader)
		equal([]string{next(ctx, "somebody leads", stays.started), next(ctx, "somebody leads", moves.started)}, []string{"follower", "leader"})
		stays.candidate(ctx, w, "leader", leader)
		stays.candidate(ctx, w, "other", others[1])
		moves.candidate(ctx, w, "other", others[1])
		leases := others[1].typed.CoordinationV1().Leases(w.namespace)
		w.ask("KILL")
		killed := time.Now()
		until(ctx, "renewed after the kill", func() bool {
			lease, err := leases.Get(ctx, "stays", metav1.GetOptions{})
			return err == nil && lease.Spec.RenewTime.After(killed)
		})
		equal(next(ctx, "who asked the killed server gives up", moves.stopped), "leader")
		equal(next(ctx, "another one follows", moves.started), "other")
		w.ask("BACK")
		back := time.Now()
		until(ctx, "both renewed since", func() bool {
			a, errA := leases.Get(ctx, "stays", metav1.GetOptions{})
			b, errB := leader.typed.CoordinationV1().Leases(w.namespace).Get(ctx, "moves", metav1.GetOptions{})
			return errA == nil && errB == nil && a.Spec.RenewTime.After(back) && b.Spec.RenewTime.After(back)
		})
		lease := get(leases.Get(ctx, "stays", metav1.GetOptions{}))
		equal([]any{*lease.Spec.HolderIdentity, *lease.Spec.LeaseTransitions, len(stays.stopped), stays.most.Load(), moves.most.Load()}, []any{"follower", int32(0), 0, int32(1), int32(1)})
	}},
	{"informers through each server hold what is there after the leading one was killed and came back; watches of the others miss nothing", func(ctx context.Context, w *world) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		leader, others := w.leading()
		selected := func(o *metav1.ListOptions) { o.LabelSelector = "over=kill" }
		writing, stopWriting := context.WithCancel(ctx)
		defer stopWriting()
		writer := write(writing, w, others[0], map[string]string{"over": "kill"})
		until(ctx, "there is something", func() bool { return writer.count() >= 10 })

		var told []*revisions
		var held []cache.SharedIndexInformer
		for _, s := range append(slices.Clone(others), leader) {
			gvr := corev1.SchemeGroupVersion.WithResource("configmaps")
			for _, informer := range []cache.SharedIndexInformer{
				informers.NewSharedInformerFactoryWithOptions(s.typed, 0, informers.WithNamespace(w.namespace), informers.WithTweakListOptions(selected)).Core().V1().ConfigMaps().Informer(),
				dynamicinformer.NewFilteredDynamicSharedInformerFactory(s.dynamic, 0, w.namespace, selected).ForResource(gvr).Informer(),
				metadatainformer.NewFilteredSharedInformerFactory(s.metadata, 0, w.namespace, selected).ForResource(gvr).Informer(),
			} {
				r := &revisions{newest: map[string]int{}}
				get(informer.AddEventHandler(r))
				go informer.Run(ctx.Done())
				if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
					fail("not synced")
				}
				told, held = append(told, r), append(held, informer)
			}
		}
		since := get(others[1].typed.CoreV1().ConfigMaps(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "over=kill"})).ResourceVersion
		seen := make([]map[string]bool, len(others))
		var mutex sync.Mutex
		for i, s := range others {
			seen[i] = map[string]bool{}
			client := s.typed.CoreV1().ConfigMaps(w.namespace)
			watcher := get(watchtools.NewRetryWatcher(since, &cache.ListWatch{WatchFunc: func(o metav1.ListOptions) (watch.Interface, error) {
				selected(&o)
				return client.Watch(ctx, o)
			}}))
			defer watcher.Stop()
			go func() {
				for event := range watcher.ResultChan() {
					if o, is := event.Object.(metav1.Object); is {
						mutex.Lock()
						seen[i][o.GetResourceVersion()] = true
						mutex.Unlock()
					}
				}
			}()
		}
		began := writer.count()
		until(ctx, "writes are watched", func() bool { return writer.count() > began+50 })
		w.ask("KILL")
		atKill := writer.count()
		until(ctx, "writes are acknowledged again", func() bool { return writer.count() > atKill+50 })
		w.ask("BACK")
		atBack := writer.count()
		until(ctx, "writes go on", func() bool { return writer.count() > atBack+50 })
		stopWriting()
		next(ctx, "the writer ends", writer.done)

		// The last write may have been made without an answer to its client.
		for i, s := range append(slices.Clone(others), leader) {
			there := map[string]int{}
			until(ctx, "listed", func() bool {
				list, err := s.typed.CoreV1().ConfigMaps(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "over=kill"})
				if err != nil {
					return false
				}
				for _, item := range list.Items {
					there[item.Name] = get(strconv.Atoi(item.ResourceVersion))
				}
				return true
			})
			for name, revision := range writer.acknowledged {
				if there[name] < get(strconv.Atoi(revision)) {
					fail("server %d has %s at %d, acknowledged was %s", i, name, there[name], revision)
				}
			}
			for j := 3 * i; j < 3*i+3; j++ {
				until(ctx, fmt.Sprintf("informer %d of server %d has what is there", j%3, i), func() bool {
					told[j].Lock()
					defer told[j].Unlock()
					return maps.Equal(told[j].newest, there) && len(held[j].GetStore().ListKeys()) == len(there)
				})
				equal(told[j].backwards, []string(nil))
			}
		}
		for i := range others {
			var missed []string
			until(ctx, "the watch is done", func() bool {
				mutex.Lock()
				defer mutex.Unlock()
				missed = nil
				for _, revision := range writer.revisions {
					if get(strconv.Atoi(revision)) > get(strconv.Atoi(since)) && !seen[i][revision] {
						missed = append(missed, revision)
					}
				}
				return len(missed) == 0
			})
		}
	}},
	{"pages go on through another server after the leading one was killed, as of the same revision", func(ctx context.Context, w *world) {
		_, others := w.leading()
		client := func(s server) interface {
			List(context.Context, metav1.ListOptions) (*corev1.ConfigMapList, error)
		} {
			return s.typed.CoreV1().ConfigMaps(w.namespace)
		}
		for i := range 10 {
			get(others[0].typed.CoreV1().ConfigMaps(w.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("page-%d", i), Labels: map[string]string{"of": "pages"}}}, metav1.CreateOptions{}))
		}
		first := get(client(others[0]).List(ctx, metav1.ListOptions{LabelSelector: "of=pages", Limit: 4}))
		must(others[0].typed.CoreV1().ConfigMaps(w.namespace).Delete(ctx, "page-9", metav1.DeleteOptions{}))
		w.ask("KILL")
		names := []string{}
		for page, at := first, 0; ; at++ {
			equal(page.ResourceVersion, first.ResourceVersion)
			for _, item := range page.Items {
				names = append(names, item.Name)
			}
			if page.Continue == "" {
				break
			}
			token := page.Continue
			until(ctx, "the next page", func() bool {
				var err error
				page, err = client(others[(at+1)%2]).List(ctx, metav1.ListOptions{LabelSelector: "of=pages", Limit: 4, Continue: token})
				if apierrors.IsResourceExpired(err) {
					fail("expired: %v", err)
				}
				return err == nil
			})
		}
		equal(names, []string{"page-0", "page-1", "page-2", "page-3", "page-4", "page-5", "page-6", "page-7", "page-8", "page-9"})
		w.ask("BACK")
	}},
}
