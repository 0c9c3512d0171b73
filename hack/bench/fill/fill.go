package fill

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// filler fills one cluster.
type filler struct {
	*Clients
	cluster *cluster.Cluster
	scale   *Scale
	say     func(string)

	// installs are the folders of the real installs, by product.
	installs map[string]string
	// installed are the components that they bring.
	installed []string
}

// All fills a cluster that has the operator's CRDs. It says what it does as it goes, and notes in the scale how many real
// installs there were.
func All(ctx context.Context, c *cluster.Cluster, clients *Clients, scale *Scale, say func(string)) error {
	f := &filler{Clients: clients, cluster: c, scale: scale, say: say}
	if err := f.readCorpus(); err != nil {
		return fmt.Errorf("reading the real installs: %w", err)
	}
	// Real installs come last, but for those that bring CRDs: their webhooks, behind which nothing runs, would delay the rest.
	for _, step := range []struct {
		what string
		n    int // 0 where the step says itself how many
		do   func(context.Context) error
	}{
		{"namespaces", scale.Namespaces + scale.Components, f.namespaces},
		{"PlatformComponents", scale.Components, f.components},
		{"profiles", scale.Profiles, f.profiles},
		{"CRDs", scale.CRDs, f.crds},
		{"Argo CD and cert-manager", len(ruled), f.ruledCRDs},
		{"nodes", scale.Nodes, f.nodes},
		{"leases", scale.Nodes, f.leases},
		{"Deployments", scale.Deployments, f.deployments},
		{"DaemonSets", scale.DaemonSets, f.daemonSets},
		{"StatefulSets", scale.StatefulSets, f.statefulSets},
		{"pods", scale.Pods, f.pods},
		{"Applications", scale.Applications, f.applications},
		{"Certificates", scale.Certificates, f.certificates},
		{"real installs", len(f.installs), f.others},
		{"custom resources", 0, f.touch},
	} {
		start := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("filling the cluster with %s: %w", step.what, err)
		}
		if step.n > 0 {
			f.say(fmt.Sprintf("%d %s in %.1f s", step.n, step.what, time.Since(start).Seconds()))
		}
	}
	return nil
}

// namespaces makes the namespaces with the ServiceAccount that pods run as, which a controller would make.
func (f *filler) namespaces(ctx context.Context) error {
	names := []string{argoNamespace, nodeLeases}
	for i := range f.scale.Namespaces {
		names = append(names, f.namespaceOf(i))
	}
	for i := range f.scale.Components {
		names = append(names, ComponentName(i))
	}
	return Each(ctx, len(names), func(ctx context.Context, i int) error {
		_, err := f.Typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: names[i], Labels: map[string]string{"team.example.com/owner": names[i], "environment": "production"},
		}}, metav1.CreateOptions{})
		if err := made("a namespace", err); err != nil {
			return err
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		_, err = f.Typed.CoreV1().ServiceAccounts(names[i]).Create(ctx, account, metav1.CreateOptions{})
		return made("a ServiceAccount", err)
	})
}
