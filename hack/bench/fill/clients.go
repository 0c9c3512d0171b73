package fill

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// Clients write to the cluster as admin, without a limit of their own.
type Clients struct {
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
	Objects client.WithWatch
}

// NewClients returns clients of a cluster. Kubernetes' own kinds travel as protobuf: what is measured shares the machine
// with what fills the cluster.
func NewClients(c *cluster.Cluster) (*Clients, error) {
	compact := rest.CopyConfig(c.Config)
	compact.ContentType = runtime.ContentTypeProtobuf
	compact.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	typed, err := kubernetes.NewForConfig(compact)
	if err != nil {
		return nil, err
	}
	untyped, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return nil, err
	}
	return &Clients{Typed: typed, Dynamic: untyped, Objects: c.Client}, nil
}

// workers is how many requests are under way at once. More do not make two cores faster.
const workers = 48

// Each does something for every number below n, many at once, and stops at the first error.
func Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := 0; i < n && ctx.Err() == nil; i++ {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return do(ctx, i)
		})
	}
	return group.Wait()
}

// made lets what is there already be: a request that was repeated after a lost connection finds its own object.
func made(what string, err error) error {
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return fmt.Errorf("making %s: %w", what, err)
}
