package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/platformprofile/platformprofile/internal/inventory"
)

var (
	contactDesc = prometheus.NewDesc("platformprofile_api_server_last_contact_timestamp_seconds",
		"When the API server last answered the operator, in seconds since 1970; 0 for never. While the API server answers, that is at most 80 s ago.", nil, nil)
	heardDesc = prometheus.NewDesc("platformprofile_source_last_heard_timestamp_seconds",
		"When a watched resource was last listed, or its watch last sent an event or a bookmark, in seconds since 1970; 0 for never. A watch sends a bookmark every minute.", []string{"source"}, nil)
	stateDesc = prometheus.NewDesc("platformprofile_source_state",
		"The state of a watched resource: Pending, Synced, Failing, Forbidden or NotServed; always 1.", []string{"source", "state"}, nil)
)

// SourceTimes says how fresh the inventory is. source.Sources does.
type SourceTimes interface {
	// LastContact is when the API server last answered; zero for never.
	LastContact() time.Time
	// LastHeard is when each source was last heard from, by its name; zero for never.
	LastHeard() map[string]time.Time
}

// sourceCollector collects the state and the age of each source when metrics are scraped.
type sourceCollector struct {
	times     SourceTimes
	inventory *inventory.Inventory
}

// RegisterSourceMetrics registers metrics of the state and the age of each source.
func RegisterSourceMetrics(times SourceTimes, i *inventory.Inventory) error {
	return metrics.Registry.Register(&sourceCollector{times, i})
}

// Describe implements prometheus.Collector.
func (c *sourceCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- contactDesc
	descs <- heardDesc
	descs <- stateDesc
}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(series chan<- prometheus.Metric) {
	s := metricWriter(series)
	s.write(contactDesc, seconds(c.times.LastContact()))
	for source, heard := range c.times.LastHeard() {
		s.write(heardDesc, seconds(heard), source)
	}
	for source, state := range c.inventory.Snapshot().SourceStates() {
		s.write(stateDesc, 1, source, state.String())
	}
}

// seconds returns those since 1970, and 0 for no time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
