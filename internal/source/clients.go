package source

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// DefaultWatchSilence is how long a watch may send nothing. The API server sends a bookmark every minute where nothing changed.
const DefaultWatchSilence = 150 * time.Second

// Clients are the ways to read a cluster: with Go types, by metadata alone, and without types.
type Clients struct {
	Typed    kubernetes.Interface
	Metadata metadata.Interface
	Dynamic  dynamic.Interface
	// WatchSilence is how long a watch may send nothing before it counts as hung.
	WatchSilence time.Duration

	// config and http are for what travels as protobuf.
	config *rest.Config
	http   *http.Client
}

// NewClients connects to the cluster of a configuration. Types of Kubernetes itself travel as protobuf.
func NewClients(config *rest.Config) (Clients, error) {
	config = rest.CopyConfig(config)
	// Watches and their first lists start all at once; the API server's own priority and fairness holds them back.
	config.QPS, config.Burst = -1, 0
	compact := rest.CopyConfig(config)
	compact.ContentType = runtime.ContentTypeProtobuf
	compact.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	shared, err := rest.HTTPClientFor(compact)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	typed, err := kubernetes.NewForConfig(compact)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	meta, err := metadata.NewForConfig(compact)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return Clients{Typed: typed, Metadata: meta, Dynamic: untyped, WatchSilence: DefaultWatchSilence, config: compact, http: shared}, nil
}

// protobuf lists and watches a built-in resource as protobuf. Unlike client-go's clients it does not retry by itself: what the API server
// answers is known at once.
func (c Clients) protobuf(gvr schema.GroupVersionResource, kind schema.GroupVersionKind) *cache.ListWatch {
	version, path := gvr.GroupVersion(), "/apis"
	if gvr.Group == "" {
		path = "/api"
	}
	config := rest.CopyConfig(c.config)
	config.GroupVersion, config.APIPath, config.NegotiatedSerializer = &version, path, clientscheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientForConfigAndClient(config, c.http)
	request := func(options metav1.ListOptions) *rest.Request {
		return client.Get().Resource(gvr.Resource).VersionedParams(&options, clientscheme.ParameterCodec).MaxRetries(0)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if err != nil {
				return nil, err
			}
			list, err := clientscheme.Scheme.New(kind)
			if err != nil {
				return nil, err
			}
			return list, request(options).Do(ctx).Into(list)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if err != nil {
				return nil, err
			}
			options.Watch = true
			return request(options).Watch(ctx)
		},
	}
}
