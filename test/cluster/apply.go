package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/internal/manifest"
)

// Apply applies manifests by server-side apply: all documents of a file, or of all files of a folder. What names no
// namespace goes to the given one; namespaces are made as needed. A custom resource whose CRD is in the same manifests
// is tried again until it is served.
func (c *Cluster) Apply(ctx context.Context, path, namespace string) ([]*unstructured.Unstructured, error) {
	objects, err := Objects(path)
	if err != nil {
		return nil, err
	}
	return objects, c.ApplyObjects(ctx, objects, namespace)
}

// ApplyObjects applies objects as Apply does.
func (c *Cluster) ApplyObjects(ctx context.Context, objects []*unstructured.Unstructured, namespace string) error {
	client, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	own := kindsOf(objects)
	deadline := time.Now().Add(30 * time.Second)
	var refused []error
	for pending := objects; len(pending) > 0; {
		var again []*unstructured.Unstructured
		var last error
		for _, object := range pending {
			if object.GetKind() == "Secret" {
				continue // what they held is left out of recorded installs, and no kubelet here asks for it
			}
			err := c.applyOne(ctx, mapper, object, namespace)
			if meta.IsNoMatchError(err) && !own[object.GroupVersionKind()] {
				continue // a resource of another product or of another release, which is not installed here
			}
			if apierrors.IsInvalid(err) {
				refused = append(refused, err) // trying again mends nothing
				continue
			}
			if err != nil {
				again, last = append(again, object), err
			}
		}
		if len(again) == len(pending) && time.Now().After(deadline) {
			return errors.Join(append(refused, last)...)
		}
		if len(again) > 0 {
			mapper.Reset()
			time.Sleep(50 * time.Millisecond)
		}
		pending = again
	}
	return errors.Join(refused...)
}

// kindsOf are the kinds, each in its version, that CRDs among the objects bring.
func kindsOf(objects []*unstructured.Unstructured) map[schema.GroupVersionKind]bool {
	kinds := map[schema.GroupVersionKind]bool{}
	for _, object := range objects {
		if object.GetKind() == "CustomResourceDefinition" {
			group, _, _ := unstructured.NestedString(object.Object, "spec", "group")
			kind, _, _ := unstructured.NestedString(object.Object, "spec", "names", "kind")
			versions, _, _ := unstructured.NestedSlice(object.Object, "spec", "versions")
			for _, version := range versions {
				if fields, ok := version.(map[string]any); ok && fields["served"] == true {
					name, _ := fields["name"].(string)
					kinds[schema.GroupVersionKind{Group: group, Version: name, Kind: kind}] = true
				}
			}
		}
	}
	return kinds
}

func (c *Cluster) applyOne(ctx context.Context, mapper meta.RESTMapper, object *unstructured.Unstructured, namespace string) error {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	object = object.DeepCopy()
	switch {
	case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
		object.SetNamespace("")
	case object.GetNamespace() == "":
		object.SetNamespace(namespace)
	}
	failOpen(object)
	if err := c.ensureServiceAccount(ctx, object); err != nil {
		return err
	}
	err = c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("install"), client.ForceOwnership)
	if apierrors.IsNotFound(err) && object.GetNamespace() != "" {
		made := &unstructured.Unstructured{
			Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": object.GetNamespace()}},
		}
		if err := c.Client.Create(ctx, made); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		err = c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("install"), client.ForceOwnership)
	}
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", kind.Kind, object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

// ensureServiceAccount makes the account that a workload runs as, and its namespace. Some recorded installs have it in
// another namespace than the workload, and without it no pod is made.
func (c *Cluster) ensureServiceAccount(ctx context.Context, object *unstructured.Unstructured) error {
	name, found, _ := unstructured.NestedString(object.Object, "spec", "template", "spec", "serviceAccountName")
	if !found || name == "" {
		return nil
	}
	for _, made := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: name}},
	} {
		if err := c.Client.Create(ctx, made); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// failOpen has webhooks ignored that do not answer: behind KWOK's pods no webhook runs.
func failOpen(object *unstructured.Unstructured) {
	if !strings.HasSuffix(object.GetKind(), "WebhookConfiguration") {
		return
	}
	webhooks, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
	for _, webhook := range webhooks {
		if fields, ok := webhook.(map[string]any); ok {
			fields["failurePolicy"] = "Ignore"
			fields["timeoutSeconds"] = int64(1)
		}
	}
	_ = unstructured.SetNestedSlice(object.Object, webhooks, "webhooks")
}

// Objects reads the documents of a file, or of all .yaml files of a folder.
func Objects(path string) ([]*unstructured.Unstructured, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
			return nil, err
		}
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		read, err := Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		objects = append(objects, read...)
	}
	return objects, nil
}

// Parse reads the documents of a stream.
func Parse(data []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := manifest.Decode(document, &object.Object); err != nil {
			return nil, err
		}
		if len(object.Object) == 0 {
			continue
		}
		if !object.IsList() {
			objects = append(objects, object)
			continue
		}
		if err := object.EachListItem(func(item k8sruntime.Object) error {
			objects = append(objects, item.(*unstructured.Unstructured))
			return nil
		}); err != nil {
			return nil, err
		}
	}
}
