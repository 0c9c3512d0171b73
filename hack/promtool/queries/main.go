// Command queries parses PromQL as Prometheus does, and says which series each query asks for: it reads a JSON list of
// queries and writes, for each, its selectors with the labels that the query uses on them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// metricName is the label that holds a metric's name.
const metricName = "__name__"

// selector is one selection of series.
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
	var all []selector
	for _, query := range queries {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(query)
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		all = append(all, selectors(query, parsed)...)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// selectors are the selections below an expression. Each uses the labels of its matchers, those that the aggregations
// around it keep, and those that the operations around it match by.
func selectors(query string, root parser.Expr) []selector {
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
