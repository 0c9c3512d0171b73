package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// object is a Kubernetes object as JSON.
type object = map[string]any

// volumeProvisioner is the provisioner that stages/volume.yaml plays.
const volumeProvisioner = "kwok.x-k8s.io/volume"

// node describes a Linux machine with containerd. Its status is part of the
// creation, as with a kubelet that registers itself: KWOK's node-initialize
// stage fills in what is missing (a runtime version of "kwok-…", say) and
// leaves alone what is there, so nobody ever rewrites these values.
func node(i int, kubernetesVersion string) object {
	name := fmt.Sprintf("node-%d", i)
	capacity := object{
		"cpu":               "32",
		"memory":            "256Gi",
		"ephemeral-storage": "1Ti",
		"pods":              "110",
	}
	return object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": object{
			"name": name,
			"labels": object{
				"beta.kubernetes.io/arch":       "amd64",
				"beta.kubernetes.io/os":         "linux",
				"kubernetes.io/arch":            "amd64",
				"kubernetes.io/hostname":        name,
				"kubernetes.io/os":              "linux",
				"topology.kubernetes.io/region": "local",
				"topology.kubernetes.io/zone":   "local-" + string(rune('a'+(i-1)%3)),
				"type":                          "kwok",
			},
		},
		"spec": object{
			// KWOK takes the pods' addresses from here.
			"podCIDR":    fmt.Sprintf("10.244.%d.0/24", i),
			"podCIDRs":   []string{fmt.Sprintf("10.244.%d.0/24", i)},
			"providerID": "kwok://" + name,
		},
		"status": object{
			"capacity":    capacity,
			"allocatable": capacity,
			"addresses": []object{
				{"type": "InternalIP", "address": fmt.Sprintf("172.18.0.%d", i+1)},
				{"type": "Hostname", "address": name},
			},
			"nodeInfo": object{
				"architecture":            "amd64",
				"bootID":                  fmt.Sprintf("00000000-0000-4000-8000-%012d", i),
				"containerRuntimeVersion": "containerd://2.1.4",
				"kernelVersion":           "6.12.41",
				"kubeProxyVersion":        "",
				"kubeletVersion":          kubernetesVersion,
				// Not digits only: KWOK's stage writes it unquoted into YAML, reads
				// a number back, and never makes the node Ready.
				"machineID":       fmt.Sprintf("machine%025d", i),
				"operatingSystem": "linux",
				"osImage":         "Debian GNU/Linux 13 (trixie)",
				"systemUUID":      fmt.Sprintf("00000000-0000-4000-9000-%012d", i),
			},
		},
	}
}

// storageClass is the default class; any other with the same provisioner works
// just as well.
func storageClass() object {
	return object{
		"apiVersion": "storage.k8s.io/v1",
		"kind":       "StorageClass",
		"metadata": object{
			"name":        "standard",
			"annotations": object{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		"provisioner":       volumeProvisioner,
		"reclaimPolicy":     "Delete",
		"volumeBindingMode": "Immediate",
	}
}

func createNodes(ctx context.Context, api *apiClient, count int, kubernetesVersion string) error {
	for i := 1; i <= count; i++ {
		if err := api.create(ctx, "/api/v1/nodes", node(i, kubernetesVersion)); err != nil {
			return fmt.Errorf("creating node-%d: %w", i, err)
		}
	}
	return nil
}

// createStorageClass tries again on a refusal: right after the start the API
// server's admission plugins may still fill their caches.
func createStorageClass(ctx context.Context, api *apiClient) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return poll(ctx, func(ctx context.Context) error {
		return api.create(ctx, "/apis/storage.k8s.io/v1/storageclasses", storageClass())
	})
}

// nodeList is the part of a list of nodes that readiness is read from.
type nodeList struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			Taints []struct {
				Key string `json:"key"`
			} `json:"taints"`
		} `json:"spec"`
		Status struct {
			Conditions []struct {
				Type   string `json:"type"`
				Status string `json:"status"`
			} `json:"conditions"`
		} `json:"status"`
	} `json:"items"`
}

// notReadyTaint is put on every new node by the API server and taken away by
// the node lifecycle controller; until then pods stay pending.
const notReadyTaint = "node.kubernetes.io/not-ready"

// check returns the names of Ready nodes that still carry the taint, and an
// error where fewer than want nodes are Ready.
func (l nodeList) check(want int) (tainted []string, err error) {
	ready := 0
	for _, n := range l.Items {
		for _, condition := range n.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				ready++
			}
		}
		for _, taint := range n.Spec.Taints {
			if taint.Key == notReadyTaint {
				tainted = append(tainted, n.Metadata.Name)
			}
		}
	}
	if ready < want {
		return nil, fmt.Errorf("%d of %d nodes are Ready", ready, want)
	}
	return tainted, nil
}

// waitForNodes returns when the nodes are Ready and pods may be scheduled to
// them. Without the controllers nobody removes the taint; then this does.
func waitForNodes(ctx context.Context, api *apiClient, want int, controllers bool) error {
	return poll(ctx, func(ctx context.Context) error {
		var list nodeList
		if err := api.do(ctx, http.MethodGet, "/api/v1/nodes", nil, &list); err != nil {
			return err
		}
		tainted, err := list.check(want)
		if err != nil || len(tainted) == 0 {
			return err
		}
		if controllers {
			return fmt.Errorf("%d nodes still have the taint %s", len(tainted), notReadyTaint)
		}
		for _, name := range tainted {
			patch := object{"spec": object{"taints": nil}}
			if err := api.do(ctx, http.MethodPatch, "/api/v1/nodes/"+name, patch, nil); err != nil {
				return err
			}
		}
		return errors.New("removed taints")
	})
}
