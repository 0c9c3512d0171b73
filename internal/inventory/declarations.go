package inventory

import (
	"fmt"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// declaredObjects returns the custom resources from which an operator creates the component, as far as the outcomes of the rules list them.
func (i *Inventory) declaredObjects(definition *catalog.Component) []member {
	var declared []member
	for _, instance := range definition.DeclaredBy {
		outcome := i.outcomes[instance.Key]
		if outcome == nil || outcome.Err != nil {
			continue
		}
		for _, object := range outcome.Objects {
			e := object.Evidence()
			ref := facts.Ref{APIVersion: e.APIVersion, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name}
			fact := &facts.Declaration{Ref: ref, TargetNamespace: e.Namespace}
			declared = append(declared, member{&record{fact: fact}, catalog.Match{Signal: "declared by " + ref.String()}, ref})
		}
	}
	return declared
}

// describeWanted says that custom resources declare the component, and that nothing of it runs.
func describeWanted(declared []member) string {
	message := declared[0].ref.String()
	if more := len(declared) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more are declared, and no workload of them runs", message, more)
	}
	return message + " is declared, and no workload of it runs"
}

// describeFailures returns a message for each declaration that failed.
func describeFailures(declarations []*facts.Declaration) []string {
	var messages []string
	for _, d := range declarations {
		if d.Failure != "" {
			messages = append(messages, describeFailure(d))
		}
	}
	return messages
}

func describeFailure(d *facts.Declaration) string {
	return d.String() + ", which declares it, failed: " + d.Failure
}

// failureOf returns the failure of a manager that is a declaration; empty if there is none.
func failureOf(manager facts.Manager, declarations []*facts.Declaration) string {
	for _, d := range declarations {
		if managerOf(d) == manager && d.Failure != "" {
			return describeFailure(d)
		}
	}
	return ""
}

func managerOf(d *facts.Declaration) facts.Manager {
	return facts.Manager{Kind: d.Kind, Namespace: d.Namespace, Name: d.Name}
}

// declaredVersion returns the version of the product in the first declaration that has it, or else that of the chart or package.
func declaredVersion(proofs []member) (version, chartVersion string) {
	for _, proof := range proofs {
		switch {
		case !proof.IsProductVersion && chartVersion == "":
			chartVersion = proof.DeclaredVersion
		case proof.IsProductVersion && version == "":
			version = catalog.CleanVersion(proof.DeclaredVersion)
		}
	}
	if version != "" {
		return version, ""
	}
	return "", chartVersion
}

// findManager returns what manages the installation: the object that a workload names, or else the declaration for its release or its
// namespace, or else the Helm release.
func (b *installationBuilder) findManager(declarations []*facts.Declaration) facts.Manager {
	release := facts.Manager{}
	for _, proof := range b.proofs {
		switch fact := proof.fact.(type) {
		case *facts.Declaration:
			if len(fact.Charts)+len(fact.Packages) > 0 { // not a custom resource, which an operator reads
				return managerOf(fact)
			}
		case *facts.Workload:
			switch {
			case fact.ManagedBy.Kind == facts.KindHelmRelease:
				release = fact.ManagedBy
			case fact.ManagedBy != (facts.Manager{}):
				return withNamespace(fact.ManagedBy, declarations)
			}
		}
	}
	found := release
	for _, d := range declarations {
		if d.TargetNamespace == b.namespace && (found == release || d.Release == release.Name) {
			found = managerOf(d)
		}
	}
	return found
}

// withNamespace returns a manager with the namespace of its declaration, because Argo CD does not write that of its Applications.
func withNamespace(manager facts.Manager, declarations []*facts.Declaration) facts.Manager {
	for _, d := range declarations {
		if manager.Namespace == "" && d.Kind == manager.Kind && d.Name == manager.Name {
			manager.Namespace = d.Namespace
		}
	}
	return manager
}
