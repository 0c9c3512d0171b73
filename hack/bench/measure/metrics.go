package measure

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Counters are those of the operator's metrics that the benchmark compares before and after.
type Counters struct {
	// Evaluations is how many there were, Evaluating the time that they took together.
	Evaluations uint64
	Evaluating  time.Duration
	// Within is how many took at most so long.
	Within map[time.Duration]uint64
	// LiveHeap is what the last garbage collection left, in bytes.
	LiveHeap float64
	// CPU is the processor time that the process took.
	CPU time.Duration
}

// Counters asks the operator.
func (o *Operator) Counters(ctx context.Context) (Counters, error) {
	data, err := get(ctx, o.Metrics)
	if err != nil {
		return Counters{}, fmt.Errorf("the operator's metrics: %w", err)
	}
	return parseCounters(data)
}

func parseCounters(data []byte) (Counters, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	if err != nil {
		return Counters{}, err
	}
	c := Counters{}
	for name, take := range map[string]func(sum float64, count uint64){
		"platformprofile_evaluation_duration_seconds": func(sum float64, count uint64) { c.Evaluations, c.Evaluating = count, seconds(sum) },
		"go_gc_heap_live_bytes":                       func(sum float64, _ uint64) { c.LiveHeap = sum },
		"process_cpu_seconds_total":                   func(sum float64, _ uint64) { c.CPU = seconds(sum) },
	} {
		family := families[name]
		if len(family.GetMetric()) == 0 {
			return Counters{}, fmt.Errorf("there is no metric %s", name)
		}
		metric := family.GetMetric()[0]
		switch {
		case metric.Histogram != nil:
			c.Within = map[time.Duration]uint64{}
			for _, bucket := range metric.Histogram.GetBucket() {
				if limit := bucket.GetUpperBound(); !math.IsInf(limit, 1) {
					c.Within[seconds(limit)] = bucket.GetCumulativeCount()
				}
			}
			take(metric.Histogram.GetSampleSum(), metric.Histogram.GetSampleCount())
		case metric.Counter != nil:
			take(metric.Counter.GetValue(), 0)
		default:
			take(metric.Gauge.GetValue(), 0)
		}
	}
	return c, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Cost is what changes cost the operator.
type Cost struct {
	// Evaluation is the mean time of an evaluation, Median that which half of them took at most.
	Evaluation, Median time.Duration
	// PerChange is how many evaluations there were for a change.
	PerChange float64
}

// costOf is what some changes between two moments cost.
func costOf(before, after Counters, changes int) Cost {
	return Cost{MeanEvaluation(before, after), MedianEvaluation(before, after), float64(after.Evaluations-before.Evaluations) / float64(changes)}
}

// MedianEvaluation is how long half of the evaluations between two moments took at most, as exactly as the metric's buckets
// tell: it lies somewhere in the last of them that it may lie in, and is taken to lie where even shares would put it. It is 0
// where there was none.
func MedianEvaluation(before, after Counters) time.Duration {
	half := float64(after.Evaluations-before.Evaluations) / 2
	if half == 0 {
		return 0
	}
	below, beyond := time.Duration(0), uint64(0)
	for _, limit := range slices.Sorted(maps.Keys(after.Within)) {
		within := after.Within[limit] - before.Within[limit]
		if float64(within) >= half {
			share := (half - float64(beyond)) / float64(within-beyond)
			return below + time.Duration(share*float64(limit-below))
		}
		below, beyond = limit, within
	}
	return below // or longer than the metric tells
}

// MeanEvaluation is how long the evaluations between two moments took on average; 0 where there was none.
func MeanEvaluation(before, after Counters) time.Duration {
	n := after.Evaluations - before.Evaluations
	if n == 0 {
		return 0
	}
	return (after.Evaluating - before.Evaluating) / time.Duration(n)
}
