package facts

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/internal/text"
)

// Declaration is the fact of an object that declares Helm charts or packages, which another program installs, for example a HelmRelease. In
// files it may also be a part of a file that is no object, for example a dependency in a Chart.yaml.
type Declaration struct {
	Ref
	// TargetNamespace is the namespace that is installed into; empty if it is unknown.
	TargetNamespace string
	// Release is the name of the Helm release; empty if it is unknown.
	Release  string
	Charts   []Chart
	Packages []Package
	// Workloads are those that the values of a chart describe, if the chart is a template for any application.
	Workloads []*Workload
	// Failure says why the program could not install it, and since when; empty if it could, or if that is unknown.
	Failure string
}

// ChartSources are the names of the sources of objects that declare charts, and PackageSource is that of objects that declare packages.
var (
	ChartSources  = []string{"helmreleases.helm.toolkit.fluxcd.io", "applications.argoproj.io", "helmcharts.helm.cattle.io"}
	PackageSource = "subscriptions.operators.coreos.com"
)

// Chart is a declared Helm chart.
type Chart struct {
	Name string
	// Repository is the address of its repository, without the scheme and the chart; empty if it is unknown.
	Repository string
	// Version is empty unless it is exact.
	Version string
	// AppVersion is the version of the product that the chart states; empty unless the chart itself was read.
	AppVersion string
	// Values are the boolean values, by path, for example "grafana.enabled".
	Values map[string]bool
}

// Package is a declared package of the Operator Lifecycle Manager, or an add-on of a cloud provider.
type Package struct {
	Name string
	// Version is empty unless it is exact.
	Version string
}

// Equal implements Fact.
func (d *Declaration) Equal(other Fact) bool {
	o, ok := other.(*Declaration)
	return ok && d.Ref == o.Ref && d.TargetNamespace == o.TargetNamespace && d.Release == o.Release && d.Failure == o.Failure &&
		slices.Equal(d.Packages, o.Packages) && slices.EqualFunc(d.Charts, o.Charts, Chart.equal) &&
		slices.EqualFunc(d.Workloads, o.Workloads, func(a, b *Workload) bool { return a.Equal(b) })
}

func (c Chart) equal(o Chart) bool {
	return c.Name == o.Name && c.Repository == o.Repository && c.Version == o.Version && c.AppVersion == o.AppVersion &&
		maps.Equal(c.Values, o.Values)
}

// NewChart returns a chart. An OCI address contains the name of the chart, in repository or in name. A name that is a path is that of a
// folder, and a version that is a range, a template or a placeholder is unknown.
func NewChart(name, repository, version string, values map[string]any) Chart {
	repository = strings.TrimPrefix(strings.TrimPrefix(trimScheme(repository), "@"), "alias:") // names of repositories in a Chart.yaml
	if _, address, isOCI := strings.Cut(name, "oci://"); isOCI {
		repository, name = "", address
	}
	name = strings.TrimRight(name, "/")
	if folder, base := splitPath(name); base != name {
		name = base
		if repository == "" && !strings.HasPrefix(folder, ".") {
			repository = folder
		}
	}
	return Chart{Name: name, Repository: repository, Version: ExactVersion(version), Values: flattenBooleans("", values, nil)}
}

// NewOCIChart returns the chart at an OCI address.
func NewOCIChart(address, version string, values map[string]any) Chart {
	repository, name := splitPath(trimScheme(address))
	return NewChart(name, repository, version, values)
}

// remoteManifest matches the address of manifests in a repository on GitHub: of a folder, a file or an asset of a release.
var remoteManifest = regexp.MustCompile(`^(?:https://)?(?:www\.)?(?:raw\.githubusercontent|github)\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?(?:[/?].*)?$`)

// remoteVersion matches the version in such an address: "?ref=v1.2.0", "/releases/download/v1.2.0/", "/v1.2.0/".
var remoteVersion = regexp.MustCompile(`(?:[?&]ref=|/)[a-z-]*(v?\d+\.\d+\.\d+[\w.+-]*)(?:[/&]|$)`)

// NewRemoteChart returns the manifests of a release in upstream's repository as a chart with the name of the repository; false if the
// address is not one on GitHub, or if neither it nor the revision is an exact version: a repository without one may be the user's own.
func NewRemoteChart(address, revision string) (Chart, bool) {
	parts := remoteManifest.FindStringSubmatch(address)
	if parts == nil {
		return Chart{}, false
	}
	version := ExactVersion(revision)
	if found := remoteVersion.FindStringSubmatch(address); found != nil && version == "" {
		version = ExactVersion(found[1])
	}
	return Chart{Name: parts[2], Repository: "github.com/" + parts[1], Version: version, AppVersion: version}, version != ""
}

// trimScheme returns an address without its scheme and without a slash at the end.
func trimScheme(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	return strings.TrimRight(address, "/")
}

// splitPath returns the folder and the last segment of a path.
func splitPath(path string) (folder, base string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// ExactVersion returns a version without a leading v; empty if it is not complete, but for example a range or a template.
func ExactVersion(version string) string {
	version, _, _ = strings.Cut(strings.TrimSpace(version), "@") // a tag with a digest
	version = strings.TrimPrefix(strings.TrimPrefix(version, "="), "v")
	if _, err := semver.StrictNewVersion(version); err != nil {
		return ""
	}
	return version
}

// flattenBooleans adds the booleans in values to flat, by their paths below prefix.
func flattenBooleans(prefix string, values map[string]any, flat map[string]bool) map[string]bool {
	for key, value := range values {
		switch value := value.(type) {
		case bool:
			if flat == nil {
				flat = map[string]bool{}
			}
			flat[prefix+key] = value
		case map[string]any:
			flat = flattenBooleans(prefix+key+".", value, flat)
		}
	}
	return flat
}

// HelmReleaseSource is the name of the source in which a HelmRelease of Flux finds its chart.
type HelmReleaseSource struct {
	Kind, Namespace, Name string
}

// NewHelmRelease returns the fact of a HelmRelease of Flux. lookUp returns the address and the version of the source of its chart; both may
// be empty. The fact has no charts if the object names none, as a patch does.
func NewHelmRelease(o *unstructured.Unstructured, lookUp func(HelmReleaseSource) (address, version string)) *Declaration {
	d := newDeclaration(o, "targetNamespace")
	if d.Release = nestedString(o, "spec", "releaseName"); d.Release == "" {
		d.Release = o.GetName()
		if target := nestedString(o, "spec", "targetNamespace"); target != "" {
			d.Release = target + "-" + d.Release
		}
	}
	values, _, _ := unstructured.NestedMap(o.Object, "spec", "values")
	source := func(path ...string) HelmReleaseSource {
		s := HelmReleaseSource{
			nestedString(o, append(path, "kind")...), nestedString(o, append(path, "namespace")...), nestedString(o, append(path, "name")...),
		}
		if s.Namespace == "" {
			s.Namespace = o.GetNamespace()
		}
		return s
	}
	if chart := nestedString(o, "spec", "chart", "spec", "chart"); chart != "" {
		address, _ := lookUp(source("spec", "chart", "spec", "sourceRef"))
		d.Charts = []Chart{NewChart(chart, address, nestedString(o, "spec", "chart", "spec", "version"), values)}
	} else if s := source("spec", "chartRef"); s.Name != "" {
		address, version := lookUp(s)
		if address == "" {
			address = latestChart(o)
		}
		if address == "" {
			address = s.Name // most name it after its chart
		}
		d.Charts = []Chart{NewOCIChart(address, version, values)}
	}
	d.Failure = conditionFailure(o, "Ready", "False")
	return d
}

// NewTemplatedWorkloads returns the workloads that values describe as the chart app-template and its library define them:
// controllers.NAME.containers.NAME.image. See https://github.com/bjw-s-labs/helm-charts, charts/library/common, version 4.
func NewTemplatedWorkloads(release, namespace string, values map[string]any) []*Workload {
	controllers, _, _ := unstructured.NestedMap(values, "controllers")
	var workloads []*Workload
	for _, name := range slices.Sorted(maps.Keys(controllers)) {
		controller, _ := controllers[name].(map[string]any)
		kind, isWorkload := templatedKinds[controller["type"]]
		if !isWorkload {
			continue
		}
		w := &Workload{
			Ref:    Ref{APIVersion: "apps/v1", Kind: kind, Namespace: namespace, Name: release},
			Labels: NewLabels(map[string]string{"app.kubernetes.io/name": release, "app.kubernetes.io/instance": release}),
		}
		if len(controllers) > 1 {
			w.Name += "-" + name
		}
		containers, _, _ := unstructured.NestedMap(controller, "containers")
		for _, container := range slices.Sorted(maps.Keys(containers)) {
			fields, _ := containers[container].(map[string]any)
			repository, _, _ := unstructured.NestedString(fields, "image", "repository")
			tag, _, _ := unstructured.NestedString(fields, "image", "tag")
			image, ok := ParseImage(strings.TrimSuffix(repository+":"+tag, ":"))
			if !ok {
				image, ok = ParseImage(repository) // the tag is a placeholder
			}
			if ok {
				w.Containers = append(w.Containers, Container{Name: container, Image: image})
			}
		}
		if len(w.Containers) > 0 {
			workloads = append(workloads, w)
		}
	}
	return workloads
}

// templatedKinds are the kinds of workload by the type of a controller; Jobs and CronJobs are none.
var templatedKinds = map[any]string{nil: "Deployment", "deployment": "Deployment", "daemonset": "DaemonSet", "statefulset": "StatefulSet"}

// latestChart returns the name of the chart that was last installed for a HelmRelease; empty if the object does not say.
func latestChart(o *unstructured.Unstructured) string {
	history, _, _ := unstructured.NestedSlice(o.Object, "status", "history")
	if len(history) == 0 {
		return ""
	}
	latest, _ := history[0].(map[string]any)
	name, _ := latest["chartName"].(string)
	return name
}

// NewHelmChart returns the fact of a HelmChart of K3s and RKE2.
func NewHelmChart(o *unstructured.Unstructured) *Declaration {
	d := newDeclaration(o, "targetNamespace")
	d.Release = o.GetName()
	if chart := nestedString(o, "spec", "chart"); chart != "" {
		values := parseValues(nestedString(o, "spec", "valuesContent"))
		d.Charts = []Chart{NewChart(chart, nestedString(o, "spec", "repo"), nestedString(o, "spec", "version"), values)}
	}
	d.Failure = conditionFailure(o, "Failed", "True")
	return d
}

// NewApplication returns the fact of an Application of Argo CD.
func NewApplication(o *unstructured.Unstructured) *Declaration {
	spec, _, _ := unstructured.NestedMap(o.Object, "spec")
	d := NewApplicationSpec(newRef(o.GetAPIVersion(), o.GetKind(), o), spec)
	d.Failure = applicationFailure(o)
	return d
}

// NewApplicationSpec returns the fact of the spec of an Application of Argo CD. Its Ref is ref.
func NewApplicationSpec(ref Ref, spec map[string]any) *Declaration {
	d := &Declaration{Ref: ref, Release: ref.Name}
	d.TargetNamespace, _, _ = unstructured.NestedString(spec, "destination", "namespace")
	sources, _, _ := unstructured.NestedSlice(spec, "sources")
	if source, ok, _ := unstructured.NestedMap(spec, "source"); ok {
		sources = append(sources, source)
	}
	for _, item := range sources {
		source, _ := item.(map[string]any)
		chart, _ := source["chart"].(string)
		repository, _ := source["repoURL"].(string)
		version, _ := source["targetRevision"].(string)
		helm, _ := source["helm"].(map[string]any)
		if release, _ := helm["releaseName"].(string); release != "" {
			d.Release = release
		}
		switch {
		case chart != "":
			d.Charts = append(d.Charts, NewChart(chart, repository, version, applicationValues(helm)))
		case strings.HasPrefix(repository, "oci://"):
			d.Charts = append(d.Charts, NewOCIChart(repository, version, applicationValues(helm)))
		default:
			if remote, ok := NewRemoteChart(repository, version); ok {
				d.Charts = append(d.Charts, remote)
			}
		}
	}
	return d
}

// applicationValues returns the values in the helm field of a source of an Application.
func applicationValues(helm map[string]any) map[string]any {
	if values, ok := helm["valuesObject"].(map[string]any); ok {
		return values
	}
	document, _ := helm["values"].(string)
	return parseValues(document)
}

// parseValues returns the values in a document; nil if they cannot be read, for example in a template.
func parseValues(document string) map[string]any {
	values := map[string]any{}
	if yaml.Unmarshal([]byte(document), &values) != nil {
		return nil
	}
	return values
}

// applicationFailure returns why an Application is not installed; empty if it is, or if it is in progress.
func applicationFailure(o *unstructured.Unstructured) string {
	phase := nestedString(o, "status", "operationState", "phase")
	if phase == "Failed" || phase == "Error" {
		return failureText("the sync is "+phase, nestedString(o, "status", "operationState", "message"),
			nestedString(o, "status", "operationState", "finishedAt"))
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if conditionType, _ := condition["type"].(string); strings.HasSuffix(conditionType, "Error") {
			message, _ := condition["message"].(string)
			since, _ := condition["lastTransitionTime"].(string)
			return failureText(conditionType, message, since)
		}
	}
	if health := nestedString(o, "status", "health", "status"); health == "Degraded" || health == "Missing" {
		return failureText("its health is "+health, nestedString(o, "status", "health", "message"),
			nestedString(o, "status", "health", "lastTransitionTime"))
	}
	return ""
}

// NewSubscription returns the fact of a Subscription of the Operator Lifecycle Manager.
func NewSubscription(o *unstructured.Unstructured) *Declaration {
	d := newDeclaration(o, "")
	// The name of a ClusterServiceVersion is that of the operator and its version: "argocd-operator.v0.14.0".
	_, version, _ := strings.Cut(nestedString(o, "spec", "startingCSV"), ".")
	if installed := nestedString(o, "status", "installedCSV"); installed != "" {
		_, version, _ = strings.Cut(installed, ".")
	}
	if name := nestedString(o, "spec", "name"); name != "" {
		d.Packages = []Package{{Name: name, Version: ExactVersion(version)}}
	}
	for _, conditionType := range []string{"ResolutionFailed", "InstallPlanFailed", "BundleUnpackFailed", "CatalogSourcesUnhealthy"} {
		if d.Failure = conditionFailure(o, conditionType, "True"); d.Failure != "" {
			break
		}
	}
	return d
}

// newDeclaration returns the fact of an object that installs into the namespace in a field of its spec, or else into its own.
func newDeclaration(o *unstructured.Unstructured, namespaceField string) *Declaration {
	d := &Declaration{Ref: newRef(o.GetAPIVersion(), o.GetKind(), o), TargetNamespace: o.GetNamespace()}
	if namespaceField != "" {
		if target := nestedString(o, "spec", namespaceField); target != "" {
			d.TargetNamespace = target
		}
	}
	return d
}

// conditionFailure returns why an object failed, if its condition of a type has a status.
func conditionFailure(o *unstructured.Unstructured, conditionType, status string) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if condition["type"] != conditionType || condition["status"] != status {
			continue
		}
		reason, _ := condition["reason"].(string)
		if reason == "" {
			reason = conditionType
		}
		message, _ := condition["message"].(string)
		since, _ := condition["lastTransitionTime"].(string)
		return failureText(reason, message, since)
	}
	return ""
}

func failureText(reason, message, since string) string {
	const maxLength = 256
	failure := reason
	if since != "" {
		failure += " since " + since
	}
	if message != "" {
		failure += ": " + message
	}
	return text.Truncate(text.Printable(failure), maxLength)
}

func nestedString(o *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(o.Object, path...)
	return strings.Clone(value)
}
