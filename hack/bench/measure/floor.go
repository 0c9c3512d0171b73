package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/source"
)

// page is how many objects a list asks for at once, and lists how many run at once: what the check does too.
const (
	page  = 500
	lists = 8
)

// Floor lists once what a one-shot check of a profile must read: the least that any such check can do. Kubernetes' own
// kinds travel as protobuf and are decoded into their types, CRDs by metadata alone, the rest as JSON. It returns how many
// objects there were.
func Floor(ctx context.Context, kubeconfig, profileFile string) (int, error) {
	resources, err := mustRead(profileFile)
	if err != nil {
		return 0, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return 0, err
	}
	config.QPS = -1
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return 0, err
	}
	// One request tells all versions and resources that are served.
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	counts := make([]int, len(resources))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lists)
	for i, resource := range resources {
		served, err := mapper.ResourceFor(schema.GroupVersionResource{Group: resource.Group, Resource: resource.Resource})
		if meta.IsNoMatchError(err) {
			continue // what the cluster does not serve cannot be listed
		}
		if err != nil {
			return 0, err
		}
		group.Go(func() (err error) {
			counts[i], err = listAll(ctx, config, served)
			return err
		})
	}
	err = group.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, err
}

// mustRead are the resources that a check of the profile in a file must read.
func mustRead(profileFile string) ([]rule.Resource, error) {
	data, err := os.ReadFile(profileFile)
	if err != nil {
		return nil, err
	}
	profile := &v1alpha1.PlatformProfile{}
	if err := json.Unmarshal(data, profile); err != nil {
		return nil, err
	}
	components, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	c := catalog.New(components...)
	seen := map[string]bool{}
	var resources []rule.Resource
	wanted := source.Resources()
	for _, instance := range append(slices.Clone(c.Instances()), conformance.Compile(&profile.Spec, c).Instances()...) {
		wanted = append(wanted, instance.AllResources()...)
	}
	for _, resource := range wanted {
		if !seen[resource.Group+"/"+resource.Resource] {
			seen[resource.Group+"/"+resource.Resource] = true
			resources = append(resources, resource)
		}
	}
	return append(resources, rule.Resource{Group: v1alpha1.GroupVersion.Group, Resource: "platformcomponents"}), nil
}

// lister lists one page.
type lister func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error)

// listAll lists all objects of a resource, page by page, and counts them.
func listAll(ctx context.Context, config *rest.Config, resource schema.GroupVersionResource) (int, error) {
	list, err := listerOf(config, resource)
	if err != nil {
		return 0, err
	}
	options, total := metav1.ListOptions{Limit: page}, 0
	for {
		objects, err := list(ctx, options)
		if apierrors.IsNotFound(err) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("listing %s: %w", resource.Resource, err)
		}
		total += meta.LenList(objects)
		next, err := meta.ListAccessor(objects)
		if err != nil {
			return 0, err
		}
		if options.Continue = next.GetContinue(); options.Continue == "" {
			return total, nil
		}
	}
}

func listerOf(config *rest.Config, resource schema.GroupVersionResource) (lister, error) {
	compact := rest.CopyConfig(config)
	compact.ContentType = runtime.ContentTypeProtobuf
	compact.AcceptContentTypes = runtime.ContentTypeProtobuf
	if resource.Resource == "customresourcedefinitions" {
		client, err := metadata.NewForConfig(compact)
		return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.Resource(resource).List(ctx, options)
		}, err
	}
	if !clientscheme.Scheme.IsVersionRegistered(resource.GroupVersion()) {
		client, err := dynamic.NewForConfig(config)
		return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.Resource(resource).List(ctx, options)
		}, err
	}
	version := resource.GroupVersion()
	compact.GroupVersion = &version
	compact.NegotiatedSerializer = clientscheme.Codecs.WithoutConversion()
	compact.APIPath = "/apis"
	if resource.Group == "" {
		compact.APIPath = "/api"
	}
	client, err := rest.RESTClientFor(compact)
	return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return client.Get().Resource(resource.Resource).VersionedParams(&options, clientscheme.ParameterCodec).Do(ctx).Get()
	}, err
}
