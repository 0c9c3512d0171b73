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

// Compile compiles one definition. The errors name the field and say what to change: a pattern that does not compile,
// one that can never match, one that would match what belongs to anybody.
func Compile(definition *v1alpha1.PlatformComponent) (*Component, field.ErrorList) {
	return compile(definition, true)
}

// compile compiles a definition, and its rules with it or not.
func compile(definition *v1alpha1.PlatformComponent, withRules bool) (*Component, field.ErrorList) {
	spec := &definition.Spec
	c := &compiler{withRules: withRules, component: &Component{
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
	c.signals(path.Child("signals"), &spec.Signals)
	c.versions(path.Child("version"), spec.Version)
	c.component.Variants = c.sources(path.Child("variant"), spec.Variant)
	c.health(path.Child("health", "rules"), spec.Health)
	c.checks(path.Child("checks"), spec.Checks)
	return c.component, c.errs
}

type compiler struct {
	component *Component
	withRules bool
	errs      field.ErrorList
}

func (c *compiler) addError(path *field.Path, value any, detail string) {
	c.errs = append(c.errs, field.Invalid(path, value, detail))
}

func (c *compiler) signals(path *field.Path, signals *v1alpha1.Signals) {
	for i := range signals.Workloads {
		c.workload(path.Child("workloads").Index(i), i, &signals.Workloads[i])
	}
	for _, named := range []struct {
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
		for i, signal := range named.signals {
			c.named(path.Child(named.child).Index(i).Child("name"), named.kind, signal)
		}
	}
	for i := range signals.Nodes {
		c.node(path.Child("nodes").Index(i), &signals.Nodes[i])
	}
	if signal := signals.APIServer; signal != nil {
		if version := c.pattern(path.Child("apiServer", "version"), signal.Version, true); version != nil {
			c.component.apiServer = &apiServerSignal{c.component, roleOrDefault(signal.Role, v1alpha1.RoleProof), version}
		}
	}
	for _, signal := range signals.ConfigMaps {
		c.component.configMaps = append(c.component.configMaps, &configMapSignal{
			component: c.component, role: roleOrDefault(signal.Role, v1alpha1.RoleSupport),
			namespace: signal.Namespace, name: signal.Name, contains: signal.Contains,
		})
	}
	none := len(c.component.workloads)+len(c.component.names)+len(c.component.nodes)+len(c.component.configMaps) == 0 && c.component.apiServer == nil
	if none && len(c.errs) == 0 {
		c.errs = append(c.errs, field.Required(path, "the definition would match nothing: name at least one signal, for example workloads: [{images: [\"example/server\"]}]"))
		return
	}
	if len(c.errs) == 0 && len(c.component.ProofSources()) == 0 {
		c.errs = append(c.errs, field.Invalid(path, "role: Support", "no signal proves an installation, so the component would never be found: give one of them role: Proof"))
	}
}

func (c *compiler) workload(path *field.Path, order int, signal *v1alpha1.WorkloadSignal) {
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
		c.image(path.Child("images").Index(i), image, len(signal.Labels)+len(signal.Names)+len(signal.Containers)+len(signal.Arguments)+len(signal.Env) > 0)
	}
	for i, name := range signal.Names {
		if problems := apivalidation.IsDNS1123Subdomain(name); len(problems) > 0 {
			c.addError(path.Child("names").Index(i), name, "no workload can have this name, so the signal can never match: "+strings.Join(problems, "; "))
		}
	}
	for i, name := range signal.Containers {
		if problems := apivalidation.IsDNS1123Label(name); len(problems) > 0 {
			c.addError(path.Child("containers").Index(i), name, "no container can have this name, so the signal can never match: "+strings.Join(problems, "; "))
		} else if slices.Contains(genericImages, name) && len(signal.Images)+len(signal.Labels)+len(signal.Names)+len(signal.Arguments)+len(signal.Env) == 0 {
			c.addError(path.Child("containers").Index(i), name, "containers of any product are called so: add images, labels, arguments or env")
		}
	}
	for i, word := range signal.Arguments {
		switch {
		case strings.HasPrefix(word, "-") && strings.Contains(word, "="):
			c.addError(path.Child("arguments").Index(i), word, "values of flags are not looked at, so the signal can never match: name the flag alone")
		case strings.ContainsAny(word, " \t\n") || !strings.HasPrefix(word, "-") && strings.Contains(word, "/"):
			c.addError(path.Child("arguments").Index(i), word, "words are looked at one by one and programs without their paths, so the signal can never match: name a single word")
		}
	}
	c.labels(path.Child("labels"), signal.Labels)
	if len(signal.Images)+len(signal.Names)+len(signal.Containers) == 0 && len(compiled.labels) == 0 {
		c.addError(path, "arguments or env alone", "what a container is started with is no name: add images or names, containers or labels")
	} else if len(signal.Images)+len(signal.Names)+len(signal.Containers) == 0 && !isSpecific(compiled.labels) {
		c.addError(path, "labels alone, of any value", "the signal would match whatever carries a label that everybody uses: give a label a value, or add images or names")
	}
	if len(c.errs) == before {
		c.component.workloads = append(c.component.workloads, compiled)
	}
}

// genericImages are last segments that stand for a part of anything. Alone they say nothing about whose it is.
var genericImages = []string{
	"agent", "api", "app", "base", "cli", "controller", "controller-manager", "daemon", "driver", "exporter", "gateway", "init",
	"main", "manager", "node", "operator", "proxy", "server", "service", "speaker", "ui", "web", "webhook", "worker",
}

func (c *compiler) image(path *field.Path, image string, narrowed bool) {
	if strings.ContainsAny(image, "@") || strings.Contains(image[strings.LastIndexByte(image, '/')+1:], ":") {
		c.addError(path, image, "name the repository without a tag or digest: with one it can never match")
		return
	}
	if strings.ContainsAny(image, "*?[]") {
		c.addError(path, image, "patterns are not supported and can never match: name the end of the repository path, which matches every registry and mirror in front of it")
		return
	}
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		c.addError(path, image, "no image can have this repository, so it can never match: "+err.Error())
		return
	}
	if !narrowed && slices.Contains(genericImages, image) {
		c.addError(path, image, "the name stands for a part of any product and would match across products: put the organisation in front ('example/"+image+"'), or add labels")
	}
}

func (c *compiler) labels(path *field.Path, labels map[string]v1alpha1.LabelValue) {
	for _, l := range sortLabels(labels) {
		if problems := apivalidation.IsQualifiedName(l.key); len(problems) > 0 {
			c.addError(path.Key(l.key), l.key, "no object can carry this label, so the signal can never match: "+strings.Join(problems, "; "))
		}
		if l.value == "*" {
			continue
		}
		if problems := apivalidation.IsValidLabelValue(l.value); len(problems) > 0 {
			c.addError(path.Key(l.key), l.value, "no label can have this value, so the signal can never match: "+strings.Join(problems, "; "))
		}
	}
}

// genericLabels are keys that everybody uses: any value of them is no sign of anything.
var genericLabels = []string{"app", "name", "k8s-app", "component", "tier", "role", "release", "chart", "heritage", "version", "control-plane"}

// isSpecific tells whether a set of labels says whose the workload is. The first of the labels, by which the signal is
// looked up, is a specific one where there is one.
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

// sortLabels sorts labels so that the one that tells most comes first: a value before any value, then by key.
func sortLabels(labels map[string]v1alpha1.LabelValue) []label {
	out := make([]label, 0, len(labels))
	for key, value := range labels {
		out = append(out, label{key, string(value)})
	}
	slices.SortFunc(out, func(a, b label) int {
		if (a.value == "*") != (b.value == "*") {
			if a.value == "*" {
				return 1
			}
			return -1
		}
		return strings.Compare(a.key, b.key)
	})
	return out
}

func (c *compiler) named(path *field.Path, kind facts.NameKind, signal v1alpha1.NameSignal) {
	name := signal.Name
	bare := strings.TrimPrefix(name, "*.")
	wild := bare != name
	switch {
	case strings.Contains(bare, "*"):
		c.addError(path, name, "only a leading '*.' is supported; a star elsewhere can never match")
	case wild && kind != facts.StorageProvisioner && kind != facts.CSIDriverName:
		c.addError(path, name, "a leading '*.' is supported for storageProvisioners and csiDrivers only, and can never match here")
	case wild && strings.Count(bare, ".") < 2:
		c.addError(path, name, "'"+name+"' would match drivers of anybody: name at least three segments behind the star, for example '*.rbd.csi.ceph.com'")
	case kind == facts.CRDName && !strings.Contains(name, "."):
		c.addError(path, name, "a CRD is named by its group ('metallb.io') or by its full name ('ipaddresspools.metallb.io')")
	case kind == facts.WebhookName && strings.Count(name, ".") < 1:
		c.addError(path, name, "a webhook is named by its full name or by the end of it behind a dot, for example 'validation.webhook.serving.knative.dev'")
	case kind == facts.CRDName && slices.Contains([]string{"k8s.io", "x-k8s.io", "gateway.networking.k8s.io"}, name):
		c.addError(path, name, "these CRDs are installed by many products and are no sign of one")
	default:
		c.component.names = append(c.component.names, &nameSignal{component: c.component, role: roleOrDefault(signal.Role, v1alpha1.RoleSupport), kind: kind, name: name})
	}
}

func (c *compiler) node(path *field.Path, signal *v1alpha1.NodeSignal) {
	before := len(c.errs)
	compiled := &nodeSignal{
		component: c.component, role: roleOrDefault(signal.Role, v1alpha1.RoleProof),
		runtime: signal.ContainerRuntime, providerID: signal.ProviderID, annotations: signal.Annotations, labels: sortLabels(signal.Labels),
		kubelet: c.pattern(path.Child("kubeletVersion"), signal.KubeletVersion, true),
		osImage: c.pattern(path.Child("osImage"), signal.OSImage, true),
	}
	c.labels(path.Child("labels"), signal.Labels)
	narrow := signal.ContainerRuntime != "" || signal.ProviderID != "" || signal.KubeletVersion != "" || signal.OSImage != "" || len(signal.Annotations) > 0
	if !narrow && !isSpecific(compiled.labels) {
		c.addError(path.Child("labels"), "any value", "every node carries this label: give it a value, or name what sets the nodes apart")
	}
	if len(c.errs) == before {
		c.component.nodes = append(c.component.nodes, compiled)
	}
}

// pattern compiles a regular expression; narrow refuses one that matches the empty text, and with it everything.
func (c *compiler) pattern(path *field.Path, text string, narrow bool) *regexp.Regexp {
	if text == "" {
		return nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		c.addError(path, text, "not a regular expression of Go's RE2 syntax: "+err.Error())
		return nil
	}
	if narrow && compiled.MatchString("") {
		c.addError(path, text, "the pattern matches the empty text, and with it everything: make it ask for something")
		return nil
	}
	return compiled
}

func (c *compiler) versions(path *field.Path, sources []v1alpha1.VersionSource) {
	if len(sources) == 0 {
		sources = []v1alpha1.VersionSource{{From: v1alpha1.VersionFromImageTag}, {From: v1alpha1.VersionFromVersionLabel}}
	}
	c.component.Versions = c.sources(path, sources)
}

// sources compiles places that tell a version or a variant.
func (c *compiler) sources(path *field.Path, sources []v1alpha1.VersionSource) []VersionSource {
	var all []VersionSource
	for i, source := range sources {
		if source.From == v1alpha1.VersionFromNone {
			continue
		}
		compiled := VersionSource{From: source.From, Label: source.Label, Annotation: source.Annotation, pattern: c.pattern(path.Index(i).Child("pattern"), source.Pattern, false)}
		if source.From == v1alpha1.VersionFromExpression {
			if source.Resource == nil {
				c.errs = append(c.errs, field.Required(path.Index(i).Child("resource"), "'from: Expression' needs the resource that the expression sees"))
				continue
			}
			instance := rule.NewInstance(rule.NewMatchRule(*source.Resource, source.Match, source.Expression), nil, "")
			c.rule(path.Index(i), instance.Rule)
			compiled.Rule = &instance
		}
		all = append(all, compiled)
	}
	return all
}

func (c *compiler) health(path *field.Path, health *v1alpha1.HealthRules) {
	if health == nil {
		return
	}
	for i := range health.Rules {
		h := &health.Rules[i]
		instance := rule.NewInstance(rule.New(&h.Rule, rule.ProfileScope, ""), nil, "")
		c.rule(path.Index(i), instance.Rule)
		c.component.Health = append(c.component.Health, HealthRule{Name: string(h.Name), Message: h.Message, Instance: instance})
	}
}

func (c *compiler) checks(path *field.Path, checks []v1alpha1.NamedCheck) {
	for i := range checks {
		check, at := &checks[i], path.Index(i)
		integers := map[string]bool{}
		for j, parameter := range check.Parameters {
			integers[parameter.Name] = parameter.Type == v1alpha1.ParameterInteger
			if parameter.Default == nil {
				continue
			}
			if _, err := parameterValue(parameter.Type, *parameter.Default); err != nil {
				c.addError(at.Child("parameters").Index(j).Child("default"), *parameter.Default, err.Error())
			}
		}
		if check.MinPercentFrom != "" && !integers[check.MinPercentFrom] {
			c.addError(at.Child("minPercentFrom"), check.MinPercentFrom, "it must name a parameter of the check whose type is Integer")
		}
		named := &NamedCheck{Name: string(check.Name), Message: check.Message, Rule: rule.New(&check.Rule, rule.CheckScope, check.MinPercentFrom), Parameters: check.Parameters}
		c.rule(at, named.Rule)
		c.component.Checks[named.Name] = named
	}
}

// rule compiles a rule, where rules are compiled.
func (c *compiler) rule(path *field.Path, r *rule.Rule) {
	if c.withRules {
		c.errs = append(c.errs, r.Compile(path)...)
	}
}

// ParseParameters reads the values that a requirement sets for a check's parameters, and takes the defaults for the others. The
// errors name the parameter below path.
func (n *NamedCheck) ParseParameters(path *field.Path, set map[string]v1alpha1.ParameterValue) (rule.Params, field.ErrorList) {
	var errs field.ErrorList
	params := rule.Params{}
	known := make([]string, 0, len(n.Parameters))
	for _, parameter := range n.Parameters {
		known = append(known, parameter.Name)
		value, ok := set[parameter.Name]
		if !ok {
			if parameter.Default == nil {
				errs = append(errs, field.Required(path.Key(parameter.Name), "the check "+n.Name+" needs this parameter"))
				continue
			}
			value = *parameter.Default
		}
		typed, err := parameterValue(parameter.Type, value)
		if err != nil {
			errs = append(errs, field.Invalid(path.Key(parameter.Name), value, err.Error()))
			continue
		}
		params[parameter.Name] = typed
	}
	for name := range set {
		if !slices.Contains(known, name) {
			errs = append(errs, field.NotSupported(path, name, known))
		}
	}
	return params, errs
}

func parameterValue(kind v1alpha1.ParameterType, value v1alpha1.ParameterValue) (any, error) {
	switch kind {
	case v1alpha1.ParameterInteger:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return nil, errWrongType("a whole number, for example 3")
		}
		return n, nil
	case v1alpha1.ParameterDuration:
		d, err := time.ParseDuration(string(value))
		if err != nil {
			return nil, errWrongType("a duration, for example 24h or 90m")
		}
		return d, nil
	default:
		return string(value), nil
	}
}

type errWrongType string

func (e errWrongType) Error() string { return "must be " + string(e) }

func roleOrDefault(role, otherwise v1alpha1.Role) v1alpha1.Role {
	if role == "" {
		return otherwise
	}
	return role
}
