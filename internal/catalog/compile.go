package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	apivalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Compile compiles a definition. Each error has the field and says what to change, for example for a pattern that does not compile, that
// can never match, or that matches unrelated products.
func Compile(definition *v1alpha1.PlatformComponent) (*Component, field.ErrorList) {
	return compile(definition, true)
}

// compile compiles a definition and, with compilesRules, its rules.
func compile(definition *v1alpha1.PlatformComponent, compilesRules bool) (*Component, field.ErrorList) {
	spec := &definition.Spec
	c := &compiler{compilesRules: compilesRules, component: &Component{
		Name:        definition.Name,
		DisplayName: spec.DisplayName,
		Layer:       string(spec.Layer),
		Homepage:    spec.Homepage,
		Checks:      map[string]*NamedCheck{},
	}}
	if c.component.DisplayName == "" {
		c.component.DisplayName = definition.Name
	}
	if spec.Remediation != nil {
		c.component.Remediation = *spec.Remediation
	}
	for _, capability := range spec.Capabilities {
		c.component.Capabilities = append(c.component.Capabilities, string(capability))
	}
	for _, part := range spec.Bundles {
		c.component.Bundles = append(c.component.Bundles, string(part))
	}
	c.component.PodHints = spec.PodHints
	path := field.NewPath("spec")
	c.compileSignals(path.Child("signals"), &spec.Signals)
	c.compileVersions(path.Child("version"), spec.Version)
	c.component.Variants = c.compileVersionSources(path.Child("variant"), spec.Variant)
	c.compileHealth(path.Child("health", "rules"), spec.Health)
	c.compileChecks(path.Child("checks"), spec.Checks)
	c.compileReleases(path.Child("releases"), spec.Releases)
	return c.component, c.errs
}

type compiler struct {
	component     *Component
	compilesRules bool
	errs          field.ErrorList
}

func (c *compiler) addError(path *field.Path, value any, detail string) {
	c.errs = append(c.errs, field.Invalid(path, value, detail))
}

func (c *compiler) compileSignals(path *field.Path, signals *v1alpha1.Signals) {
	for i := range signals.Workloads {
		c.compileWorkload(path.Child("workloads").Index(i), i, &signals.Workloads[i])
	}
	for _, list := range []struct {
		child   string
		kind    facts.NameKind
		signals []v1alpha1.NameSignal
	}{
		{"crds", facts.CRDName, signals.CRDs},
		{"storageProvisioners", facts.StorageProvisioner, signals.StorageProvisioners},
		{"csiDrivers", facts.CSIDriverName, signals.CSIDrivers},
		{"ingressControllers", facts.IngressController, signals.IngressControllers},
		{"gatewayControllers", facts.GatewayController, signals.GatewayControllers},
		{"apiServices", facts.APIServiceName, signals.APIServices},
		{"webhooks", facts.WebhookName, signals.Webhooks},
		{"runtimeHandlers", facts.RuntimeHandler, signals.RuntimeHandlers},
	} {
		for i, signal := range list.signals {
			c.compileName(path.Child(list.child).Index(i).Child("name"), list.kind, signal)
		}
	}
	for i := range signals.Nodes {
		c.compileNode(path.Child("nodes").Index(i), &signals.Nodes[i])
	}
	if signal := signals.APIServer; signal != nil {
		if version := c.compilePattern(path.Child("apiServer", "version"), signal.Version, true); version != nil {
			c.component.apiServer = &apiServerSignal{c.component, roleOrDefault(signal.Role, v1alpha1.RoleProof), version}
		}
	}
	for _, signal := range signals.ConfigMaps {
		c.component.configMaps = append(c.component.configMaps, &configMapSignal{
			component: c.component, role: roleOrDefault(signal.Role, v1alpha1.RoleSupport),
			namespace: signal.Namespace, name: signal.Name, contains: signal.Contains,
		})
	}
	for _, signal := range signals.Leases {
		c.component.leases = append(c.component.leases, &leaseSignal{c.component, signal.Namespace, signal.Name})
	}
	c.compileDeclarations(path, signals)
	isEmpty := len(c.component.workloads)+len(c.component.names)+len(c.component.nodes)+len(c.component.configMaps)+
		len(c.component.leases) == 0 && c.component.apiServer == nil
	if isEmpty && len(c.errs) == 0 {
		c.errs = append(c.errs, field.Required(path,
			"the definition matches nothing: name at least one signal, for example workloads: [{images: [\"example/server\"]}]"))
		return
	}
	if len(c.errs) == 0 && len(c.component.ProofSources()) == 0 {
		c.errs = append(c.errs, field.Invalid(path, "role: Support",
			"no signal proves an installation, so the component can never be found: give one of them role: Proof"))
	}
}

// compileDeclarations compiles the signals of what is declared.
func (c *compiler) compileDeclarations(path *field.Path, signals *v1alpha1.Signals) {
	for i, signal := range signals.Charts {
		for j, repository := range signal.Repositories {
			if strings.Contains(repository, "://") || strings.Trim(repository, "/") != repository {
				c.addError(path.Child("charts").Index(i).Child("repositories").Index(j), repository,
					"name segments of the address, without the scheme and without a slash at either end: with them the signal can never match")
			}
		}
		for j, name := range signal.Names {
			if strings.Contains(name, "/") {
				c.addError(path.Child("charts").Index(i).Child("names").Index(j), name,
					"no chart can have this name, so the signal can never match: name its last segment, and the rest in repositories")
			}
		}
		c.component.charts = append(c.component.charts, &chartSignal{component: c.component, order: i, spec: signal})
	}
	for _, signal := range signals.Packages {
		c.component.packages = append(c.component.packages, &packageSignal{component: c.component, spec: signal})
	}
	for i, signal := range signals.DeclaredBy {
		instance := rule.NewInstance(rule.NewSelection(signal.Resource, signal.Match), nil, "")
		c.compileRule(path.Child("declaredBy").Index(i), instance.Rule)
		c.component.DeclaredBy = append(c.component.DeclaredBy, instance)
	}
}

func (c *compiler) compileWorkload(path *field.Path, order int, signal *v1alpha1.WorkloadSignal) {
	compiled := &workloadSignal{
		component: c.component, role: roleOrDefault(signal.Role, v1alpha1.RoleProof), order: order,
		kinds: signal.Kinds, images: signal.Images, names: signal.Names, labels: sortLabels(signal.Labels),
		containers: signal.Containers, arguments: signal.Arguments, env: signal.Env,
	}
	if len(compiled.kinds) == 0 {
		compiled.kinds = []v1alpha1.WorkloadKind{v1alpha1.KindDeployment, v1alpha1.KindDaemonSet, v1alpha1.KindStatefulSet}
	}
	before := len(c.errs)
	for i, image := range signal.Images {
		c.validateImage(path.Child("images").Index(i), image,
			len(signal.Labels)+len(signal.Names)+len(signal.Containers)+len(signal.Arguments)+len(signal.Env) > 0)
	}
	for i, name := range signal.Names {
		if problems := apivalidation.IsDNS1123Subdomain(name); len(problems) > 0 {
			c.addError(path.Child("names").Index(i), name,
				"no workload can have this name, so the signal can never match: "+strings.Join(problems, "; "))
		}
	}
	for i, name := range signal.Containers {
		if problems := apivalidation.IsDNS1123Label(name); len(problems) > 0 {
			c.addError(path.Child("containers").Index(i), name,
				"no container can have this name, so the signal can never match: "+strings.Join(problems, "; "))
		} else if slices.Contains(genericImages, name) &&
			len(signal.Images)+len(signal.Labels)+len(signal.Names)+len(signal.Arguments)+len(signal.Env) == 0 {
			c.addError(path.Child("containers").Index(i), name, "containers of many products have this name: add images, labels, arguments or env")
		}
	}
	for i, word := range signal.Arguments {
		switch {
		case strings.HasPrefix(word, "-") && strings.Contains(word, "="):
			c.addError(path.Child("arguments").Index(i), word,
				"values of flags are ignored, so the signal can never match: name the flag without its value")
		case strings.ContainsAny(word, " \t\n") || !strings.HasPrefix(word, "-") && strings.Contains(word, "/"):
			c.addError(path.Child("arguments").Index(i), word,
				"each argument is matched as a single word, programs without their path, so the signal can never match: name a single word")
		}
	}
	c.validateLabels(path.Child("labels"), signal.Labels)
	if len(signal.Images)+len(signal.Names)+len(signal.Containers) == 0 && len(compiled.labels) == 0 {
		c.addError(path, "arguments or env alone", "arguments and env do not identify a product: add images or names, containers or labels")
	} else if len(signal.Images)+len(signal.Names)+len(signal.Containers) == 0 && !isSpecific(compiled.labels) {
		c.addError(path, "labels alone, of any value",
			"the signal matches every workload with a common label: give a label a value, or add images or names")
	}
	if len(c.errs) == before {
		c.component.workloads = append(c.component.workloads, compiled)
	}
}

// genericImages are last segments of image paths that many products use.
var genericImages = []string{
	"agent", "api", "app", "base", "cli", "controller", "controller-manager", "daemon", "driver", "exporter", "gateway", "init",
	"main", "manager", "node", "operator", "proxy", "server", "service", "speaker", "ui", "web", "webhook", "worker",
}

func (c *compiler) validateImage(path *field.Path, image string, isNarrowed bool) {
	if strings.ContainsAny(image, "@") || strings.Contains(image[strings.LastIndexByte(image, '/')+1:], ":") {
		c.addError(path, image, "name the repository without a tag or digest: with one the signal can never match")
		return
	}
	if strings.ContainsAny(image, "*?[]") {
		c.addError(path, image,
			"patterns are not supported and can never match: name the end of the repository path, which matches in every registry and mirror")
		return
	}
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		c.addError(path, image, "no image can have this repository, so the signal can never match: "+err.Error())
		return
	}
	if !isNarrowed && slices.Contains(genericImages, image) {
		c.addError(path, image, "images of many products have this name: add the organization ('example/"+image+"'), or add labels")
	}
}

func (c *compiler) validateLabels(path *field.Path, labels map[string]v1alpha1.LabelValue) {
	for _, l := range sortLabels(labels) {
		if problems := apivalidation.IsQualifiedName(l.key); len(problems) > 0 {
			c.addError(path.Key(l.key), l.key, "no object can have this label, so the signal can never match: "+strings.Join(problems, "; "))
		}
		if l.value == "*" {
			continue
		}
		if problems := apivalidation.IsValidLabelValue(l.value); len(problems) > 0 {
			c.addError(path.Key(l.key), l.value, "no label can have this value, so the signal can never match: "+strings.Join(problems, "; "))
		}
	}
}

// genericLabels are label keys that many products use.
var genericLabels = []string{
	"app", "name", "k8s-app", "component", "tier", "role", "release", "chart", "heritage", "version",
	"control-plane",
}

// isSpecific reports whether labels identify a product.
func isSpecific(labels []label) bool {
	for _, l := range labels {
		if l.value != "*" || !isGeneric(l.key) {
			return true
		}
	}
	return false
}

func isGeneric(key string) bool {
	prefix, _, qualified := strings.Cut(key, "/")
	if !qualified {
		return slices.Contains(genericLabels, key)
	}
	return prefix == "app.kubernetes.io" || prefix == "helm.sh" || prefix == "kubernetes.io" || strings.HasSuffix(prefix, ".kubernetes.io")
}

// sortLabels returns labels with a value before those with any value, then sorted by key. The index has the first label.
func sortLabels(labels map[string]v1alpha1.LabelValue) []label {
	sorted := make([]label, 0, len(labels))
	for key, value := range labels {
		sorted = append(sorted, label{key, string(value)})
	}
	slices.SortFunc(sorted, func(a, b label) int {
		if (a.value == "*") != (b.value == "*") {
			if a.value == "*" {
				return 1
			}
			return -1
		}
		return strings.Compare(a.key, b.key)
	})
	return sorted
}

func (c *compiler) compileName(path *field.Path, kind facts.NameKind, signal v1alpha1.NameSignal) {
	name := signal.Name
	suffix := strings.TrimPrefix(name, "*.")
	isWildcard := suffix != name
	switch {
	case strings.Contains(suffix, "*"):
		c.addError(path, name, "only a leading '*.' is supported; a star elsewhere can never match")
	case isWildcard && kind != facts.StorageProvisioner && kind != facts.CSIDriverName:
		c.addError(path, name, "a leading '*.' is supported for storageProvisioners and csiDrivers only, and can never match here")
	case isWildcard && strings.Count(suffix, ".") < 2:
		c.addError(path, name,
			"'"+name+"' matches drivers of many products: name at least three segments after the star, for example '*.rbd.csi.ceph.com'")
	case kind == facts.CRDName && !strings.Contains(name, "."):
		c.addError(path, name, "name the group of the CRD ('metallb.io') or its full name ('ipaddresspools.metallb.io')")
	case kind == facts.WebhookName && strings.Count(name, ".") < 1:
		c.addError(path, name,
			"name the full name of the webhook, or the end of it after a dot, for example 'validation.webhook.serving.knative.dev'")
	case kind == facts.CRDName && slices.Contains([]string{"k8s.io", "x-k8s.io", "gateway.networking.k8s.io"}, name):
		c.addError(path, name, "these CRDs are installed by many products and do not identify one")
	default:
		role := roleOrDefault(signal.Role, v1alpha1.RoleSupport)
		c.component.names = append(c.component.names, &nameSignal{component: c.component, role: role, kind: kind, name: name})
	}
}

func (c *compiler) compileNode(path *field.Path, signal *v1alpha1.NodeSignal) {
	before := len(c.errs)
	compiled := &nodeSignal{
		component: c.component, role: roleOrDefault(signal.Role, v1alpha1.RoleProof),
		runtime: signal.ContainerRuntime, providerID: signal.ProviderID, annotations: signal.Annotations, labels: sortLabels(signal.Labels),
		kubelet: c.compilePattern(path.Child("kubeletVersion"), signal.KubeletVersion, true),
		osImage: c.compilePattern(path.Child("osImage"), signal.OSImage, true),
	}
	c.validateLabels(path.Child("labels"), signal.Labels)
	isNarrow := signal.ContainerRuntime != "" || signal.ProviderID != "" || signal.KubeletVersion != "" || signal.OSImage != "" ||
		len(signal.Annotations) > 0
	if !isNarrow && !isSpecific(compiled.labels) {
		c.addError(path.Child("labels"), "any value", "every node has this label: give it a value, or add another field to the signal")
	}
	if len(c.errs) == before {
		c.component.nodes = append(c.component.nodes, compiled)
	}
}

// compilePattern compiles a regular expression. With isNarrow it must not match the empty text, and therefore everything.
func (c *compiler) compilePattern(path *field.Path, text string, isNarrow bool) *regexp.Regexp {
	if text == "" {
		return nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		c.addError(path, text, "not a regular expression in RE2 syntax: "+err.Error())
		return nil
	}
	if isNarrow && compiled.MatchString("") {
		c.addError(path, text, "the pattern matches the empty text, and therefore everything: make it more specific")
		return nil
	}
	return compiled
}

func (c *compiler) compileVersions(path *field.Path, sources []v1alpha1.VersionSource) {
	if len(sources) == 0 {
		sources = []v1alpha1.VersionSource{{From: v1alpha1.VersionFromImageTag}, {From: v1alpha1.VersionFromVersionLabel}}
	}
	c.component.Versions = c.compileVersionSources(path, sources)
}

// compileVersionSources compiles the sources of a version or a variant.
func (c *compiler) compileVersionSources(path *field.Path, sources []v1alpha1.VersionSource) []VersionSource {
	var compiledSources []VersionSource
	for i, source := range sources {
		if source.From == v1alpha1.VersionFromNone {
			continue
		}
		pattern := c.compilePattern(path.Index(i).Child("pattern"), source.Pattern, false)
		compiled := VersionSource{From: source.From, Label: source.Label, Annotation: source.Annotation, pattern: pattern}
		if source.From == v1alpha1.VersionFromExpression {
			if source.Resource == nil {
				c.errs = append(c.errs, field.Required(path.Index(i).Child("resource"),
					"'from: Expression' needs the resource that the expression is evaluated on"))
				continue
			}
			instance := rule.NewInstance(rule.NewMatchRule(*source.Resource, source.Match, source.Expression), nil, "")
			c.compileRule(path.Index(i), instance.Rule)
			compiled.Rule = &instance
		}
		compiledSources = append(compiledSources, compiled)
	}
	return compiledSources
}

func (c *compiler) compileHealth(path *field.Path, health *v1alpha1.HealthRules) {
	if health == nil {
		return
	}
	for i := range health.Rules {
		h := &health.Rules[i]
		instance := rule.NewInstance(rule.New(&h.Rule, rule.ProfileScope, ""), nil, "")
		c.compileRule(path.Index(i), instance.Rule)
		c.component.Health = append(c.component.Health, HealthRule{Name: string(h.Name), Message: h.Message, Instance: instance})
	}
}

func (c *compiler) compileChecks(path *field.Path, checks []v1alpha1.NamedCheck) {
	for i := range checks {
		check, checkPath := &checks[i], path.Index(i)
		isInteger := map[string]bool{}
		for j, parameter := range check.Parameters {
			isInteger[parameter.Name] = parameter.Type == v1alpha1.ParameterInteger
			if parameter.Default == nil {
				continue
			}
			if _, err := parseParameter(parameter.Type, *parameter.Default); err != nil {
				c.addError(checkPath.Child("parameters").Index(j).Child("default"), *parameter.Default, err.Error())
			}
		}
		if check.MinPercentFrom != "" && !isInteger[check.MinPercentFrom] {
			c.addError(checkPath.Child("minPercentFrom"), check.MinPercentFrom, "must be the name of an Integer parameter of the check")
		}
		compiled := &NamedCheck{
			Name: string(check.Name), Description: check.Description, Message: check.Message, Parameters: check.Parameters,
			Rule: rule.New(&check.Rule, rule.CheckScope, check.MinPercentFrom),
		}
		c.compileRule(checkPath, compiled.Rule)
		c.component.Checks[compiled.Name] = compiled
	}
}

// compileRule compiles a rule if the compiler compiles rules.
func (c *compiler) compileRule(path *field.Path, r *rule.Rule) {
	if c.compilesRules {
		c.errs = append(c.errs, r.Compile(path)...)
	}
}

// ParseParameters parses the values that a requirement sets, and adds the defaults of the other parameters. Each error has the parameter
// below path.
func (n *NamedCheck) ParseParameters(path *field.Path, values map[string]v1alpha1.ParameterValue) (rule.Params, field.ErrorList) {
	var errs field.ErrorList
	params := rule.Params{}
	known := make([]string, 0, len(n.Parameters))
	for _, parameter := range n.Parameters {
		known = append(known, parameter.Name)
		value, ok := values[parameter.Name]
		if !ok {
			if parameter.Default == nil {
				errs = append(errs, field.Required(path.Key(parameter.Name), "the check "+n.Name+" needs this parameter"))
				continue
			}
			value = *parameter.Default
		}
		typed, err := parseParameter(parameter.Type, value)
		if err != nil {
			errs = append(errs, field.Invalid(path.Key(parameter.Name), value, err.Error()))
			continue
		}
		params[parameter.Name] = typed
	}
	for name := range values {
		if !slices.Contains(known, name) {
			errs = append(errs, field.NotSupported(path, name, known))
		}
	}
	return params, errs
}

func parseParameter(parameterType v1alpha1.ParameterType, value v1alpha1.ParameterValue) (any, error) {
	switch parameterType {
	case v1alpha1.ParameterInteger:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return nil, errWrongType("a whole number, for example 3")
		}
		return n, nil
	case v1alpha1.ParameterDuration:
		if days, err := strconv.ParseUint(strings.TrimSuffix(string(value), "d"), 10, 16); err == nil && strings.HasSuffix(string(value), "d") {
			return time.Duration(days) * 24 * time.Hour, nil
		}
		d, err := time.ParseDuration(string(value))
		if err != nil {
			return nil, errWrongType("a duration, for example 24h, 90m or 90d")
		}
		return d, nil
	default:
		return string(value), nil
	}
}

type errWrongType string

func (e errWrongType) Error() string { return "must be " + string(e) }

func roleOrDefault(role, defaultRole v1alpha1.Role) v1alpha1.Role {
	if role == "" {
		return defaultRole
	}
	return role
}
