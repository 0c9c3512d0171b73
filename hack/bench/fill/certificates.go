package fill

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Certificates is the resource of cert-manager's Certificates.
var Certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}

// Certificate is the namespace and name of a Certificate.
func Certificate(s *Scale, i int) (namespace, name string) {
	return fmt.Sprintf("team-%03d", i%s.Namespaces), fmt.Sprintf("certificate-%05d", i)
}

func (f *filler) certificates(ctx context.Context) error {
	return Each(ctx, f.scale.Certificates, func(ctx context.Context, i int) error {
		certificate := f.certificate(i)
		client := f.Dynamic.Resource(Certificates).Namespace(certificate.GetNamespace())
		created, err := client.Create(ctx, certificate, metav1.CreateOptions{})
		if err != nil {
			return made("a Certificate", err)
		}
		created.Object["status"] = certificateStatus()
		if _, err := client.UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("writing a Certificate's status: %w", err)
		}
		return nil
	})
}

func (f *filler) certificate(i int) *unstructured.Unstructured {
	namespace, name := Certificate(f.scale, i)
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
		"metadata": map[string]any{"namespace": namespace, "name": name, "labels": map[string]any{"team.example.com/owner": namespace}},
		"spec": map[string]any{
			"secretName":  name + "-tls",
			"duration":    "2160h",
			"renewBefore": "360h",
			"usages":      []any{"digital signature", "key encipherment", "server auth"},
			"dnsNames":    []any{name + "." + namespace + ".svc", name + "." + namespace + ".svc.cluster.local", name + ".apps.corp.example"},
			"issuerRef":   map[string]any{"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "corporate"},
			"privateKey":  map[string]any{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Always"},
		},
	}}
}

func certificateStatus() map[string]any {
	now := time.Now().UTC()
	stamp := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	return map[string]any{
		"conditions": []any{map[string]any{
			"type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired",
			"lastTransitionTime": stamp(-24 * time.Hour), "observedGeneration": int64(1),
		}},
		"notBefore": stamp(-24 * time.Hour), "notAfter": stamp(89 * 24 * time.Hour), "renewalTime": stamp(74 * 24 * time.Hour),
		"revision": int64(1),
	}
}
