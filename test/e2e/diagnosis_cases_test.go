package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/source/files"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// caseTime is when the dumps of the cases were taken.
var caseTime = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// metadataAnnotation holds the metadata of an object that only the API server sets: its times and its UID.
const metadataAnnotation = "test/metadata"

// TestCasesInCluster applies every case of internal/podcases with its status to a real API server, and asserts that the diagnoses are
// those of its dump.
func TestCasesInCluster(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start("--without", "kwok", "--without", "controllers", "--without", "scheduler")
	cluster.Must(t, err)
	defer c.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	config := rest.CopyConfig(c.Config)
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return originalMetadata{next} })
	reader, err := kubernetes.NewForConfig(config)
	cluster.Must(t, err)
	folders, err := filepath.Glob(filepath.Join(cluster.Root(), "internal", "podcases", "testdata", "cases", "*"))
	cluster.Must(t, err)
	if len(folders) < 60 {
		t.Fatalf("%d cases", len(folders))
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			file := filepath.Join(folder, "dump.yaml")
			objects, err := cluster.Objects(file)
			cluster.Must(t, err)
			defer func() {
				for _, object := range objects {
					err := c.Client.Delete(ctx, object, client.GracePeriodSeconds(0), client.PropagationPolicy(metav1.DeletePropagationBackground))
					cluster.Must(t, client.IgnoreNotFound(err))
				}
			}()
			for _, object := range objects {
				applyWithStatus(ctx, t, c.Client, object)
			}
			live, err := podcases.OfCluster(ctx, reader, "", caseTime)
			cluster.Must(t, err)
			data, err := os.ReadFile(file)
			cluster.Must(t, err)
			dump, err := files.Read("-", bytes.NewReader(data))
			cluster.Must(t, err)
			dumped, err := podcases.OfDump(dump, "", caseTime)
			cluster.Must(t, err)
			a, _ := json.MarshalIndent(live.Diagnose(nil, caseTime), "", " ")
			b, _ := json.MarshalIndent(dumped.Diagnose(nil, caseTime), "", " ")
			if !bytes.Equal(a, b) {
				t.Errorf("diagnosed in the cluster:\n%s\nand in the dump:\n%s", a, b)
			}
			if live.Examined != dumped.Examined || len(live.Unreadable) > 0 {
				t.Errorf("examined %+v in the cluster, %+v in the dump, unreadable %q", live.Examined, dumped.Examined, live.Unreadable)
			}
		})
	}
}

// applyWithStatus creates an object and writes its status.
func applyWithStatus(ctx context.Context, t *testing.T, c client.Client, object *unstructured.Unstructured) {
	t.Helper()
	if object.GetKind() == "Event" {
		if object.GetNamespace() == "" {
			object.SetNamespace("default")
		}
	}
	if namespace := object.GetNamespace(); namespace != "" {
		for _, made := range []client.Object{&corev1.Namespace{}, &corev1.ServiceAccount{}} {
			made.SetName(namespace)
			if _, isAccount := made.(*corev1.ServiceAccount); isAccount {
				made.SetName("default")
				made.SetNamespace(namespace)
			}
			if err := c.Create(ctx, made); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		}
	}
	original := map[string]any{}
	for _, field := range []string{"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"} {
		value, exists, _ := unstructured.NestedFieldNoCopy(object.Object, "metadata", field)
		original[field] = value
		if !exists {
			original[field] = nil
		}
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	encoded, err := json.Marshal(original)
	cluster.Must(t, err)
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[metadataAnnotation] = string(encoded)
	object.SetAnnotations(annotations)
	complete(t, object)
	status, hasStatus := object.Object["status"]
	spec := object.Object["spec"]
	cluster.Must(t, c.Create(ctx, object))
	if object.GetKind() == "Node" { // the API server adds a taint to a new node
		object.Object["spec"] = spec
		cluster.Must(t, c.Update(ctx, object))
	}
	if hasStatus {
		object.Object["status"] = validStatus(status)
		cluster.Must(t, c.Status().Update(ctx, object))
	}
}

// complete adds the required fields that a dump leaves out.
func complete(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	selector, hasSelector, _ := unstructured.NestedMap(object.Object, "spec", "selector", "matchLabels")
	switch object.GetKind() {
	case "Job":
		if hasSelector {
			cluster.Must(t, unstructured.SetNestedField(object.Object, true, "spec", "manualSelector"))
		}
	case "ReplicaSet":
		if _, exists, _ := unstructured.NestedMap(object.Object, "spec", "template"); !exists {
			template := map[string]any{
				"metadata": map[string]any{"labels": selector},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": "example/app:1"}}},
			}
			cluster.Must(t, unstructured.SetNestedField(object.Object, template, "spec", "template"))
		}
	}
}

// validStatus returns a status that today's API server accepts, of dumps that are older: it adds the condition that the Job controller now
// writes before a Job ends, and limits the updated replicas.
func validStatus(status any) any {
	fields, _ := status.(map[string]any)
	if replicas, exists := fields["replicas"].(int64); exists {
		if updated, _ := fields["updatedReplicas"].(int64); updated > replicas {
			fields["updatedReplicas"] = replicas
		}
	}
	conditions, _, _ := unstructured.NestedSlice(fields, "conditions")
	for _, condition := range conditions {
		ended, _ := condition.(map[string]any)
		kind := map[any]string{"Failed": "FailureTarget", "Complete": "SuccessCriteriaMet"}[ended["type"]]
		if kind == "" || ended["status"] != "True" {
			continue
		}
		before := maps.Clone(ended)
		before["type"] = kind
		fields["conditions"] = append([]any{before}, conditions...)
	}
	return status
}

// originalMetadata gives the objects in responses the metadata of the dump, which the API server lets nobody set.
type originalMetadata struct{ next http.RoundTripper }

func (o originalMetadata) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read to its end
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	content := map[string]any{}
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", request.URL, err)
	}
	items, isList := content["items"].([]any)
	if !isList {
		items = []any{content}
	}
	for _, item := range items {
		object := unstructured.Unstructured{Object: item.(map[string]any)}
		original := map[string]any{}
		if encoded := object.GetAnnotations()[metadataAnnotation]; encoded != "" {
			if err := json.NewDecoder(strings.NewReader(encoded)).Decode(&original); err != nil {
				return nil, err
			}
		}
		metadata, _ := object.Object["metadata"].(map[string]any)
		for field, value := range original {
			metadata[field] = value
			if value == nil {
				delete(metadata, field)
			}
		}
	}
	if data, err = json.Marshal(content); err != nil {
		return nil, err
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return response, nil
}
