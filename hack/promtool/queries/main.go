// Command queries lists the series of PromQL queries: it reads a JSON list of queries and writes the selectors of each query with the
// labels that it uses.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// metricName is the label with the name of a metric.
const metricName = "__name__"

// selector is a selector of a query.
type selector struct {
	Query  string   `json:"query"`
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "queries:", err)
		os.Exit(1)
	}
}

func run() error {
	var queries []string
	if err := json.NewDecoder(os.Stdin).Decode(&queries); err != nil {
		return err
	}
	var selectors []selector
	for _, query := range queries {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(query)
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		selectors = append(selectors, selectorsOf(query, parsed)...)
	}
	return json.NewEncoder(os.Stdout).Encode(selectors)
}

// selectorsOf returns the selectors of an expression. The labels are those of its matchers, of the aggregations around it, and those that
// the operations around it match.
func selectorsOf(query string, root parser.Expr) []selector {
	var found []selector
	parser.Inspect(root, func(node parser.Node, path []parser.Node) error {
		vector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		s := selector{Query: query, Metric: vector.Name}
		for _, matcher := range vector.LabelMatchers {
			if matcher.Name != metricName {
				s.Labels = append(s.Labels, matcher.Name)
			}
		}
		for _, around := range path {
			switch around := around.(type) {
			case *parser.AggregateExpr:
				s.Labels = append(s.Labels, around.Grouping...)
			case *parser.BinaryExpr:
				if around.VectorMatching != nil {
					s.Labels = append(s.Labels, around.VectorMatching.MatchingLabels...)
				}
			}
		}
		slices.Sort(s.Labels)
		s.Labels = slices.Compact(s.Labels)
		found = append(found, s)
		return nil
	})
	return found
}
