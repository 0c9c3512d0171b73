package podcases_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/platformprofile/platformprofile/internal/podcases"
)

// serve starts an API server with some lists. It denies everything else, except nodes, which do not exist.
func serve(t *testing.T, lists map[string]any) kubernetes.Interface {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		response, exists := lists[r.URL.Path]
		if !exists {
			status := apierrors.NewForbidden(schema.GroupResource{Resource: r.URL.Path}, "", fmt.Errorf("not granted"))
			if strings.HasPrefix(r.URL.Path, "/api/v1/nodes/") {
				status = apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, "gone")
			}
			status.ErrStatus.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
			w.WriteHeader(int(status.ErrStatus.Code))
			response = status.ErrStatus
		}
		if err := json.NewEncoder(w).Encode(response); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestPodsOfCluster checks that unreadable resources are listed, the rest is diagnosed, and the pods of a workload are limited to 50.
func TestPodsOfCluster(t *testing.T) {
	isController := true
	podList := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for n := range 60 {
		podList.Items = append(podList.Items, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       "a",
				Name:            fmt.Sprint("agent-", n),
				OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agent", Controller: &isController}},
			},
			Spec:   corev1.PodSpec{NodeName: "gone"},
			Status: corev1.PodStatus{Phase: corev1.PodPending},
		})
	}
	client := serve(t, map[string]any{
		"/apis/apps/v1/daemonsets": &appsv1.DaemonSetList{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSetList"},
			Items: []appsv1.DaemonSet{{
				ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "agent"},
				Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}}},
				Status:     appsv1.DaemonSetStatus{DesiredNumberScheduled: 60},
			}},
		},
		"/api/v1/namespaces/a/pods": podList,
		"/api/v1/pods":              podList,
	})
	found, err := podcases.OfCluster(t.Context(), client, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Cases) != 50 || !found.Cases[0].IsNodeGone {
		t.Errorf("%d pods, the first %+v", len(found.Cases), found.Cases[0])
	}
	unreadable := strings.Join(found.Unreadable, "\n")
	for _, what := range []string{"deployments", "statefulsets", "jobs", "events", "all pods of DaemonSet a/agent: limited to 50"} {
		if !strings.Contains(unreadable, "cannot read "+what) {
			t.Errorf("no %q in:\n%s", what, unreadable)
		}
	}
	if _, err := podcases.OfCluster(t.Context(), serve(t, nil), "", time.Now()); !apierrors.IsForbidden(err) {
		t.Errorf("without the permission to list pods: %v", err)
	}
}
