package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Profile is a compiled spec. It is immutable.
type Profile struct {
	spec   *v1alpha1.PlatformProfileSpec
	layers []layer
	// Errors are the errors of the spec. Requirements without an error are evaluated nevertheless.
	Errors field.ErrorList

	components map[string]bool
	baseline   map[undeclaredKey]bool // undeclared components that are ignored
	instances  []rule.Instance
	ruleKeys   []string // of the instances
}

type layer struct {
	name         string
	condition    string // type of its condition
	requirements []requirement
}

type requirement struct {
	*v1alpha1.Requirement
	path *field.Path
	// choices are the components that satisfy the requirement.
	choices []choice
	// rivals are the components of which an exclusive requirement allows only one.
	rivals []string
	checks []check
	rule   *rule.Instance
	// invalidReason is why the requirement cannot be evaluated; empty if it can.
	invalidReason string
	// undefinedReason is set if no definition exists for what the requirement names, so that it cannot be installed.
	undefinedReason string
	// components are the components that the outcome depends on.
	components []string
}

type choice struct {
	component string
	version   *semver.Constraints
	text      string // the range as written in the spec
}

type check struct {
	*catalog.NamedCheck
	params rule.Params
	// instance is the rule with the parameters; zero for a common check, which has none.
	instance rule.Instance
	path     *field.Path
}

// Compile compiles a spec against a catalog. It never fails: Errors contains each error with its field path and what to change.
func Compile(spec *v1alpha1.PlatformProfileSpec, c *catalog.Catalog) *Profile {
	p := &Profile{spec: spec, components: map[string]bool{}}
	conditions := map[string]string{}
	for i := range spec.Layers {
		l := &spec.Layers[i]
		path := field.NewPath("spec", "layers").Index(i)
		compiled := layer{name: l.Name, condition: conditionTypeOf(l.Name)}
		if first, isDuplicate := conditions[compiled.condition]; isDuplicate {
			p.Errors = append(p.Errors, field.Invalid(path.Child("name"), l.Name,
				fmt.Sprintf("its condition %s is also the condition of layer %q: rename one of them", compiled.condition, first)))
		}
		conditions[compiled.condition] = l.Name
		for j := range l.Requirements {
			compiled.requirements = append(compiled.requirements, p.compileRequirement(path.Child("requirements").Index(j), &l.Requirements[j], c))
		}
		p.layers = append(p.layers, compiled)
	}
	return p
}

func (p *Profile) compileRequirement(path *field.Path, r *v1alpha1.Requirement, c *catalog.Catalog) requirement {
	compiled := requirement{Requirement: r, path: path}
	addError := func(err *field.Error) {
		p.Errors = append(p.Errors, err)
		if compiled.invalidReason == "" {
			compiled.invalidReason = err.Error()
		}
	}
	switch {
	case r.Capability != "":
		providers := c.Providers(r.Capability)
		if invalid := c.InvalidProviders(r.Capability); len(providers) == 0 && len(invalid) > 0 {
			addError(field.Invalid(path.Child("capability"), r.Capability, fmt.Sprintf(invalidDefinition, strings.Join(invalid, ", "))))
		} else if len(providers) == 0 {
			const advice = "correct the name, or apply a PlatformComponent that provides it"
			p.Errors = append(p.Errors, field.Invalid(path.Child("capability"), r.Capability, "no definition provides this capability: "+advice))
			compiled.undefinedReason = fmt.Sprintf("no definition provides the capability %q: %s", r.Capability, advice)
		}
		for _, name := range providers {
			compiled.choices = append(compiled.choices, choice{component: name})
		}
		compiled.rivals = providers
	case len(r.AnyOf) > 0:
		p.compileAnyOf(path, &compiled, c, addError)
	case r.Rule != nil:
		p.compileRule(path.Child("rule"), &compiled, addError)
	case r.Attestation == nil:
		addError(field.Required(path, "specify one of capability, anyOf, rule and attestation"))
	}
	for _, choice := range compiled.choices {
		compiled.components = append(compiled.components, choice.component)
	}
	if r.Exclusive {
		compiled.components = append(compiled.components, compiled.rivals...)
	}
	for _, component := range compiled.components {
		p.components[component] = true
	}
	return compiled
}

// compileRule compiles a rule that is written in the profile.
func (p *Profile) compileRule(path *field.Path, compiled *requirement, addError func(*field.Error)) {
	instance := rule.NewInstance(rule.New(compiled.Rule, rule.ProfileScope, ""), nil, "")
	for _, err := range instance.Compile(path) {
		addError(err)
	}
	for _, resource := range instance.AllResources() {
		if isForbiddenResource(resource) {
			addError(field.Forbidden(path, "the operator never reads the resource "+resource.String()))
		}
	}
	if compiled.invalidReason == "" {
		compiled.rule = &instance
		p.addInstance(instance)
	}
}

// addInstance adds a rule instance that the profile depends on.
func (p *Profile) addInstance(instance rule.Instance) {
	if !slices.Contains(p.ruleKeys, instance.Key) {
		p.instances, p.ruleKeys = append(p.instances, instance), append(p.ruleKeys, instance.Key)
	}
}

// invalidDefinition is the message for a component whose definition has an error.
const invalidDefinition = "the PlatformComponent %s is not accepted: see its condition Accepted"

// invalidRange is the message for a version range that cannot be parsed.
const invalidRange = `not a version range: write it like ">=1.16.0", ">=1.16 <2" or "~3.28"`

// undefinedAdvice is the remediation for a component without a definition.
const undefinedAdvice = "correct the name, or apply a PlatformComponent with this name"

func (p *Profile) compileAnyOf(path *field.Path, compiled *requirement, c *catalog.Catalog, addError func(*field.Error)) {
	var undefined []string
	var invalid field.ErrorList
	var shared []string
	for i, requested := range compiled.AnyOf {
		at := path.Child("anyOf").Index(i)
		component := c.Component(requested.Component)
		switch {
		case component == nil && c.IsInvalid(requested.Component):
			invalid = append(invalid, field.Invalid(at.Child("component"), requested.Component, fmt.Sprintf(invalidDefinition, requested.Component)))
		case component == nil:
			p.Errors = append(p.Errors,
				field.Invalid(at.Child("component"), requested.Component, "no definition of this component: "+undefinedAdvice))
			undefined = append(undefined, requested.Component)
		case shared == nil:
			shared = slices.Clone(component.Capabilities)
		default:
			shared = slices.DeleteFunc(shared, func(capability string) bool { return !component.Provides(capability) })
		}
		option := choice{component: requested.Component, text: requested.Version}
		if requested.Version != "" {
			parsed, err := catalog.ParseRange(requested.Version)
			if err != nil {
				addError(field.Invalid(at.Child("version"), requested.Version, invalidRange))
			}
			option.version = parsed
		}
		compiled.choices = append(compiled.choices, option)
		compiled.rivals = append(compiled.rivals, requested.Component)
	}
	// A component that shares a capability with all choices is a rival, even if the requirement does not name it.
	for _, capability := range shared {
		compiled.rivals = append(compiled.rivals, c.Providers(capability)...)
	}
	slices.Sort(compiled.rivals)
	compiled.rivals = slices.Compact(compiled.rivals)
	// The requirement remains valid as long as one choice has a valid definition.
	p.Errors = append(p.Errors, invalid...)
	if len(invalid) > 0 && len(invalid)+len(undefined) == len(compiled.AnyOf) {
		compiled.invalidReason = invalid[0].Error()
	} else if len(undefined) == len(compiled.AnyOf) {
		compiled.undefinedReason = fmt.Sprintf("no definition of %s: %s", strings.Join(undefined, ", "), undefinedAdvice)
	}
	p.compileChecks(path, compiled, c, addError)
}

func (p *Profile) compileChecks(path *field.Path, compiled *requirement, c *catalog.Catalog, addError func(*field.Error)) {
	for i, reference := range compiled.Checks {
		at := path.Child("checks").Index(i)
		var offered []string
		isDefined, isOffered := false, false
		for _, requested := range compiled.AnyOf {
			component := c.Component(requested.Component)
			if component == nil {
				continue
			}
			isDefined = true
			offered = append(offered, component.CheckNames()...)
			named := component.Check(reference.Name)
			if named == nil {
				continue
			}
			if named.Rule == nil && isOffered {
				continue // all components share it
			}
			isOffered = true
			params, errs := named.ParseParameters(at.Child("parameters"), reference.Parameters)
			for _, err := range errs {
				addError(err)
			}
			if len(errs) > 0 {
				continue
			}
			compiledCheck := check{NamedCheck: named, params: params, path: at}
			if named.Rule != nil {
				compiledCheck.instance = rule.NewInstance(named.Rule, params, component.Name)
				p.addInstance(compiledCheck.instance)
			} else if err := validateCommonCheck(at.Child("parameters"), named, params); err != nil {
				addError(err)
				continue
			}
			p.components[kubernetesComponent] = p.components[kubernetesComponent] || named.Name == catalog.CheckKubernetesCompatible
			compiled.checks = append(compiled.checks, compiledCheck)
		}
		if isDefined && !isOffered {
			addError(field.NotSupported(at.Child("name"), reference.Name, offered))
		}
	}
}

// Concerns reports whether the status of the profile depends on a component.
func (p *Profile) Concerns(component string) bool {
	undeclared := p.spec.Undeclared
	return p.components[component] || undeclared == v1alpha1.UndeclaredReport || undeclared == v1alpha1.UndeclaredForbid
}

// Instances returns the rule instances that the profile depends on. The caller must not modify them.
func (p *Profile) Instances() []rule.Instance { return p.instances }

// RuleKeys returns the keys of Instances.
func (p *Profile) RuleKeys() []string { return p.ruleKeys }

// Interval returns the time after which the profile is evaluated even if nothing changed.
func (p *Profile) Interval() time.Duration {
	if p.spec.Interval == nil || p.spec.Interval.Duration <= 0 {
		return 10 * time.Minute
	}
	return p.spec.Interval.Duration
}

// isForbiddenResource repeats a validation of the CRD for specs from files, which the API server has not validated.
func isForbiddenResource(r rule.Resource) bool {
	switch r.Group {
	case "":
		return r.Resource == "secrets" || r.Resource == "pods" || r.Resource == "events"
	case "events.k8s.io":
		return r.Resource == "events"
	}
	return false
}

// conditionTypeOf returns the condition type of a layer, for example ServiceMeshConformant for "service-mesh".
func conditionTypeOf(layer string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(layer, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String() + v1alpha1.ConditionConformant
}
