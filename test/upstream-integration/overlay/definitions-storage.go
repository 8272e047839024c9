// Beside k8s.io/apiextensions-apiserver/test/integration/storage: what stands for an etcd that is not there. Tests that only pass it on run.
package storage

import (
	"context"
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var errNoEtcd = errors.New("skiff's store is no etcd")

type noEtcd struct{ clientv3.KV }

func (noEtcd) Get(context.Context, string, ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return nil, errNoEtcd
}

func (noEtcd) Put(context.Context, string, string, ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	return nil, errNoEtcd
}

func newNoEtcd(clientv3.Config) (*clientv3.Client, error) {
	client := clientv3.NewCtxClient(context.Background())
	client.KV = noEtcd{}
	return client, nil
}
