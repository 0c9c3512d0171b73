package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Profile is a compiled spec. It never changes once it is in use.
type Profile struct {
	spec   *v1alpha1.PlatformProfileSpec
	layers []layer
	// Errors are the mistakes in the spec that no retry can mend. The rest of the spec is evaluated all the same.
	Errors field.ErrorList

	components map[string]bool
	instances  []rule.Instance
	ruleKeys   []string // of the instances
}

type layer struct {
	name         string
	condition    string // the one that says whether it conforms
	requirements []requirement
}

type requirement struct {
	*v1alpha1.Requirement
	path *field.Path
	// choices are the components that would do.
	choices []choice
	// rivals are the components of which only one may be installed, where the requirement is exclusive.
	rivals []string
	checks []check
	rule   *rule.Instance
	// broken says why the requirement cannot be judged as it is written; empty where it can.
	broken string
	// undefined says that nobody defines what is asked for, so that it cannot be there.
	undefined string
	// components are those that the outcome depends on.
	components []string
}

type choice struct {
	component string
	version   *semver.Constraints
	text      string // the range as it is written
}

type check struct {
	*catalog.NamedCheck
	instance rule.Instance
	path     *field.Path
}

// Compile compiles a spec against a catalog. It never fails: mistakes are in Errors, each with the field's path and what
// to change.
func Compile(spec *v1alpha1.PlatformProfileSpec, c *catalog.Catalog) *Profile {
	p := &Profile{
		spec: spec, components: map[string]bool{},
	}
	conditions := map[string]string{}
	for i := range spec.Layers {
		l := &spec.Layers[i]
		path := field.NewPath("spec", "layers").Index(i)
		compiled := layer{name: l.Name, condition: conditionTypeOf(l.Name)}
		if other, taken := conditions[compiled.condition]; taken {
			p.Errors = append(p.Errors, field.Invalid(path.Child("name"), l.Name,
				fmt.Sprintf("its condition %s is that of the layer %q too: rename one of them", compiled.condition, other)))
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
	refuse := func(err *field.Error) {
		p.Errors = append(p.Errors, err)
		if compiled.broken == "" {
			compiled.broken = err.Error()
		}
	}
	switch {
	case r.Capability != "":
		providers := c.Providers(r.Capability)
		if refused := c.InvalidProviders(r.Capability); len(providers) == 0 && len(refused) > 0 {
			refuse(field.Invalid(path.Child("capability"), r.Capability, fmt.Sprintf(refusedDefinition, strings.Join(refused, ", "))))
		} else if len(providers) == 0 {
			const mend = "correct the name, or apply a PlatformComponent that provides it"
			p.Errors = append(p.Errors, field.Invalid(path.Child("capability"), r.Capability, "no definition provides this capability: "+mend))
			compiled.undefined = fmt.Sprintf("no definition provides the capability %q: %s", r.Capability, mend)
		}
		for _, name := range providers {
			compiled.choices = append(compiled.choices, choice{component: name})
		}
		compiled.rivals = providers
	case len(r.AnyOf) > 0:
		p.compileAnyOf(path, &compiled, c, refuse)
	case r.Rule != nil:
		p.compileRule(path.Child("rule"), &compiled, refuse)
	case r.Attestation == nil:
		refuse(field.Required(path, "say what is asked for by one of capability, anyOf, rule and attestation"))
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

// compileRule compiles a rule of the profile's own.
func (p *Profile) compileRule(path *field.Path, compiled *requirement, refuse func(*field.Error)) {
	instance := rule.NewInstance(rule.New(compiled.Rule, rule.ProfileScope, ""), nil, "")
	for _, err := range instance.Compile(path) {
		refuse(err)
	}
	for _, resource := range instance.AllResources() {
		if isForbiddenResource(resource) {
			refuse(field.Forbidden(path, "the resource "+resource.String()+" is never read"))
		}
	}
	if compiled.broken == "" {
		compiled.rule = &instance
		p.addInstance(instance)
	}
}

// addInstance has a rule evaluated for the profile.
func (p *Profile) addInstance(instance rule.Instance) {
	if !slices.Contains(p.ruleKeys, instance.Key) {
		p.instances, p.ruleKeys = append(p.instances, instance), append(p.ruleKeys, instance.Key)
	}
}

// refusedDefinition says why a component cannot be judged whose definition has a mistake.
const refusedDefinition = "the PlatformComponent %s is not in use: its condition Accepted says why"

// mendComponent says what to do about a component that nobody defines.
const mendComponent = "correct the name, or apply a PlatformComponent of that name"

func (p *Profile) compileAnyOf(path *field.Path, compiled *requirement, c *catalog.Catalog, refuse func(*field.Error)) {
	var unknown []string
	var refused field.ErrorList
	var shared []string
	for i, wanted := range compiled.AnyOf {
		at := path.Child("anyOf").Index(i)
		component := c.Component(wanted.Component)
		switch {
		case component == nil && c.IsInvalid(wanted.Component):
			refused = append(refused, field.Invalid(at.Child("component"), wanted.Component, fmt.Sprintf(refusedDefinition, wanted.Component)))
		case component == nil:
			p.Errors = append(p.Errors, field.Invalid(at.Child("component"), wanted.Component, "nobody defines this component: "+mendComponent))
			unknown = append(unknown, wanted.Component)
		case shared == nil:
			shared = slices.Clone(component.Capabilities)
		default:
			shared = slices.DeleteFunc(shared, func(capability string) bool { return !component.Provides(capability) })
		}
		option := choice{component: wanted.Component, text: wanted.Version}
		if wanted.Version != "" {
			parsed, err := catalog.ParseRange(wanted.Version)
			if err != nil {
				refuse(field.Invalid(at.Child("version"), wanted.Version, `not a version range: write it like ">=1.16.0", ">=1.16 <2" or "~3.28"`))
			}
			option.version = parsed
		}
		compiled.choices = append(compiled.choices, option)
		compiled.rivals = append(compiled.rivals, wanted.Component)
	}
	// What fills the same role as all of the choices is a rival of theirs, be it named or not.
	for _, capability := range shared {
		compiled.rivals = append(compiled.rivals, c.Providers(capability)...)
	}
	slices.Sort(compiled.rivals)
	compiled.rivals = slices.Compact(compiled.rivals)
	// Whether one of those is installed cannot be told; another one that is there would do all the same.
	p.Errors = append(p.Errors, refused...)
	if len(refused) > 0 && len(refused)+len(unknown) == len(compiled.AnyOf) {
		compiled.broken = refused[0].Error()
	} else if len(unknown) == len(compiled.AnyOf) {
		compiled.undefined = fmt.Sprintf("nobody defines %s: %s", strings.Join(unknown, ", "), mendComponent)
	}
	for i, asked := range compiled.Checks {
		at := path.Child("checks").Index(i)
		var offered []string
		found := false
		for _, wanted := range compiled.AnyOf {
			component := c.Component(wanted.Component)
			if component == nil {
				continue
			}
			offered = append(offered, slices.Sorted(maps.Keys(component.Checks))...)
			named := component.Checks[asked.Name]
			if named == nil {
				continue
			}
			found = true
			params, errs := named.ParseParameters(at.Child("parameters"), asked.Parameters)
			for _, err := range errs {
				refuse(err)
			}
			if len(errs) > 0 {
				continue
			}
			instance := rule.NewInstance(named.Rule, params, component.Name)
			compiled.checks = append(compiled.checks, check{NamedCheck: named, instance: instance, path: at})
			p.addInstance(instance)
		}
		if !found && len(unknown)+len(refused) < len(compiled.AnyOf) {
			refuse(field.NotSupported(at.Child("name"), asked.Name, offered))
		}
	}
}

// Concerns tells whether the profile's outcome depends on a component.
func (p *Profile) Concerns(component string) bool {
	undeclared := p.spec.Undeclared
	return p.components[component] || undeclared == v1alpha1.UndeclaredReport || undeclared == v1alpha1.UndeclaredForbid
}

// Instances are the rules that the profile needs evaluated. They must not be changed.
func (p *Profile) Instances() []rule.Instance { return p.instances }

// RuleKeys are the keys of the rule instances that the profile's outcome depends on.
func (p *Profile) RuleKeys() []string { return p.ruleKeys }

// Interval is how often to evaluate although nothing changed.
func (p *Profile) Interval() time.Duration {
	if p.spec.Interval == nil || p.spec.Interval.Duration <= 0 {
		return 10 * time.Minute
	}
	return p.spec.Interval.Duration
}

// isForbiddenResource repeats the schema's rule for specs that come from files and never met the API server.
func isForbiddenResource(r rule.Resource) bool {
	switch r.Group {
	case "":
		return r.Resource == "secrets" || r.Resource == "pods" || r.Resource == "events"
	case "events.k8s.io":
		return r.Resource == "events"
	}
	return false
}

// conditionTypeOf names a layer's condition: "service-mesh" is reported by ServiceMeshConformant.
func conditionTypeOf(layer string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(layer, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String() + v1alpha1.ConditionConformant
}
