package measure

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Counters are those of the operator's metrics that the benchmark compares before and after.
type Counters struct {
	// Evaluations is how many there were, Evaluating the time that they took together.
	Evaluations uint64
	Evaluating  time.Duration
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

// MeanEvaluation is how long the evaluations between two moments took on average; 0 where there was none.
func MeanEvaluation(before, after Counters) time.Duration {
	n := after.Evaluations - before.Evaluations
	if n == 0 {
		return 0
	}
	return (after.Evaluating - before.Evaluating) / time.Duration(n)
}
