package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Counters are those of the operator's metrics that the benchmark compares before and after.
type Counters struct {
	// Evaluations are those of profiles, and Rules those of rules on objects that changed.
	Evaluations, Rules Histogram
	// LiveHeap is what the last garbage collection left, in bytes.
	LiveHeap float64
	// CPU is the processor time that the process took.
	CPU time.Duration
}

// Histogram is how long things took.
type Histogram struct {
	// Count is how many there were, and Sum the time that they took together.
	Count uint64
	Sum   time.Duration
	// Within is how many took at most so long.
	Within map[time.Duration]uint64
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
	for name, into := range map[string]*float64{"go_gc_heap_live_bytes": &c.LiveHeap, "process_cpu_seconds_total": new(float64)} {
		metrics := families[name].GetMetric()
		if len(metrics) == 0 {
			return Counters{}, fmt.Errorf("there is no metric %s", name)
		}
		*into = metrics[0].GetGauge().GetValue() + metrics[0].GetCounter().GetValue()
		if name == "process_cpu_seconds_total" {
			c.CPU = seconds(*into)
		}
	}
	evaluations := families["platformprofile_evaluation_duration_seconds"].GetMetric()
	if len(evaluations) == 0 {
		return Counters{}, errors.New("there is no metric platformprofile_evaluation_duration_seconds")
	}
	c.Evaluations = histogramOf(evaluations[0].GetHistogram())
	for _, metric := range families["platformprofile_rule_duration_seconds"].GetMetric() {
		if metric.GetLabel()[0].GetValue() == "changed" {
			c.Rules = histogramOf(metric.GetHistogram())
		}
	}
	return c, nil
}

func histogramOf(h *dto.Histogram) Histogram {
	found := Histogram{Count: h.GetSampleCount(), Sum: seconds(h.GetSampleSum()), Within: map[time.Duration]uint64{}}
	for _, bucket := range h.GetBucket() {
		if limit := bucket.GetUpperBound(); !math.IsInf(limit, 1) {
			found.Within[seconds(limit)] = bucket.GetCumulativeCount()
		}
	}
	return found
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
	return Cost{
		Evaluation: mean(before.Evaluations, after.Evaluations), Median: quantile(before.Evaluations, after.Evaluations, 0.5),
		PerChange: float64(after.Evaluations.Count-before.Evaluations.Count) / float64(changes),
	}
}

// quantile is how long a share of what there was between two moments took at most, as exactly as the metric's buckets tell: it
// lies somewhere in the last of them that it may lie in, and is taken to lie where even shares would put it. It is 0 where there
// was nothing.
func quantile(before, after Histogram, share float64) time.Duration {
	wanted := float64(after.Count-before.Count) * share
	if wanted == 0 {
		return 0
	}
	below, beyond := time.Duration(0), uint64(0)
	for _, limit := range slices.Sorted(maps.Keys(after.Within)) {
		within := after.Within[limit] - before.Within[limit]
		if float64(within) >= wanted {
			part := (wanted - float64(beyond)) / float64(within-beyond)
			return below + time.Duration(part*float64(limit-below))
		}
		below, beyond = limit, within
	}
	return below // or longer than the metric tells
}

// mean is how long what there was between two moments took on average; 0 where there was nothing.
func mean(before, after Histogram) time.Duration {
	n := after.Count - before.Count
	if n == 0 {
		return 0
	}
	return (after.Sum - before.Sum) / time.Duration(n)
}
