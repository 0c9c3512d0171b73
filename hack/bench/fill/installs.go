package fill

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// ruled are the products whose objects rules read. Their CRDs must be there before the objects.
var ruled = []string{"argo-cd", "cert-manager"}

// corpus are the real installs: one variant of each product, and the components that they are known to bring.
func (f *filler) readCorpus() error {
	folder, ok := cluster.Corpus()
	if !ok {
		f.say("the folder of real installs is absent: Argo CD and cert-manager are their CRDs alone, and profiles ask for less that is there")
		return nil
	}
	variants, err := filepath.Glob(filepath.Join(folder, "*", "*", "manifests.yaml"))
	if err != nil {
		return err
	}
	f.installs = map[string]string{}
	for _, file := range variants { // sorted: of several variants the last one is taken
		f.installs[filepath.Base(filepath.Dir(filepath.Dir(file)))] = filepath.Dir(file)
	}
	f.installed, err = expected(filepath.Join(folder, "EXPECTED.tsv"), folder, f.installs)
	return err
}

// expected are the components that the installs bring, but for those that every profile asks for anyway.
func expected(file, folder string, installs map[string]string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, install := range installs {
		variant, _ := filepath.Rel(folder, install)
		taken[variant] = true
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 2 || !taken[fields[0]] {
			continue
		}
		for _, found := range strings.FieldsFunc(fields[1], func(r rune) bool { return r == ' ' || r == ',' }) {
			name, _, _ := strings.Cut(found, "@")
			names[name] = true
		}
	}
	for _, name := range ruled {
		delete(names, name)
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// ruledCRDs installs Argo CD and cert-manager.
func (f *filler) ruledCRDs(ctx context.Context) error {
	for _, product := range ruled {
		if folder, ok := f.installs[product]; ok {
			if err := f.apply(ctx, product, folder); err != nil {
				return err
			}
		}
	}
	if len(f.installs) > 0 {
		return nil
	}
	return f.cluster.ApplyObjects(ctx, []*unstructured.Unstructured{
		openCRD("applications.argoproj.io", "Application", "v1alpha1", nil),
		openCRD("certificates.cert-manager.io", "Certificate", "v1", map[string]any{"status": map[string]any{}}),
	}, "default")
}

// openCRD is a CRD that takes everything.
func openCRD(name, kind, version string, subresources map[string]any) *unstructured.Unstructured {
	plural, group, _ := strings.Cut(name, ".")
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": kind, "plural": plural},
			"versions": []any{map[string]any{
				"name": version, "served": true, "storage": true, "subresources": subresources,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
}

// others applies the rest of the real installs, and rolls out what is in them.
func (f *filler) others(ctx context.Context) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(10)
	for _, product := range slices.Sorted(maps.Keys(f.installs)) {
		if !slices.Contains(ruled, product) {
			group.Go(func() error { return f.apply(within, product, f.installs[product]) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	f.scale.Installs = len(f.installs)
	return f.rollOut(ctx)
}

// apply applies an install. Recorded installs are cut down, and a later API server refuses what an earlier one took: what
// is refused is said, and the rest is there.
func (f *filler) apply(ctx context.Context, product, folder string) error {
	objects, err := cluster.Objects(folder)
	if err != nil {
		return err
	}
	// Some installs know only of a version of CRDs that no API server serves any more. Nothing of theirs will come.
	objects = slices.DeleteFunc(objects,
		func(o *unstructured.Unstructured) bool { return o.GetAPIVersion() == "apiextensions.k8s.io/v1beta1" })
	if err := f.cluster.ApplyObjects(ctx, objects, "its-"+product); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.say(fmt.Sprintf("of %s was refused: %.200s", product, strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	return nil
}

// rollOut writes the status of the workloads of real installs.
func (f *filler) rollOut(ctx context.Context) error {
	apps := f.Typed.AppsV1()
	deployments, err := apps.Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	daemonSets, err := apps.DaemonSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	statefulSets, err := apps.StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range deployments.Items {
		o := &deployments.Items[i]
		if o.Status.ObservedGeneration > 0 {
			continue
		}
		o.Status = *DeploymentStatus(o.Generation, o.Name, true)
		count := *o.Spec.Replicas
		o.Status.Replicas, o.Status.UpdatedReplicas, o.Status.ReadyReplicas, o.Status.AvailableReplicas = count, count, count, count
		if _, err := apps.Deployments(o.Namespace).UpdateStatus(ctx, o, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	for i := range daemonSets.Items {
		o := &daemonSets.Items[i]
		if o.Status.ObservedGeneration > 0 {
			continue
		}
		o.Status = daemonSetStatus(o.Generation, f.scale.Nodes)
		if _, err := apps.DaemonSets(o.Namespace).UpdateStatus(ctx, o, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	for i := range statefulSets.Items {
		if err := f.rollOutStatefulSet(ctx, &statefulSets.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) rollOutStatefulSet(ctx context.Context, o *appsv1.StatefulSet) error {
	if o.Status.ObservedGeneration > 0 {
		return nil
	}
	o.Status = statefulSetStatus(o.Generation, *o.Spec.Replicas, o.Name+"-1")
	_, err := f.Typed.AppsV1().StatefulSets(o.Namespace).UpdateStatus(ctx, o, metav1.UpdateOptions{})
	return err
}
