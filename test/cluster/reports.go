package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// OpenReportsCRD is the CRD of clusterreports, from the Go module of openreports.io.
func OpenReportsCRD(ctx context.Context) (*unstructured.Unstructured, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api")
	list.Dir = Root()
	folder, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("looking for the module of openreports.io: %w", err)
	}
	objects, err := Objects(filepath.Join(strings.TrimSpace(string(folder)), "config", "crd", "openreports.io_clusterreports.yaml"))
	if err != nil {
		return nil, err
	}
	if len(objects) != 1 {
		return nil, fmt.Errorf("the file of the CRD has %d objects", len(objects))
	}
	return objects[0], nil
}

// PolicyReportsCRD is the CRD of clusterpolicyreports of wgpolicyk8s.io, the predecessor. No small Go module has it. Its schema, as Kyverno
// 1.13 installs it, is that of clusterreports without two fields, so it is made from that one.
func PolicyReportsCRD(ctx context.Context) (*unstructured.Unstructured, error) {
	crd, err := OpenReportsCRD(ctx)
	if err != nil {
		return nil, err
	}
	crd.SetName("clusterpolicyreports.wgpolicyk8s.io")
	spec := crd.Object["spec"].(map[string]any)
	spec["group"] = "wgpolicyk8s.io"
	spec["names"] = map[string]any{
		"kind": "ClusterPolicyReport", "listKind": "ClusterPolicyReportList", "plural": "clusterpolicyreports", "singular": "clusterpolicyreport",
		"shortNames": []any{"cpolr"},
	}
	version := spec["versions"].([]any)[0].(map[string]any)
	version["name"] = "v1alpha2"
	for _, field := range []string{"source", "configuration"} {
		unstructured.RemoveNestedField(version, "schema", "openAPIV3Schema", "properties", field)
	}
	return crd, nil
}
