package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/platformprofile/platformprofile/internal/inventory"
)

var (
	contactDesc = prometheus.NewDesc("platformprofile_api_server_last_contact_timestamp_seconds",
		"Time of the last response of the API server, in seconds since 1970; 0 if there was none. "+
			"At most 80 s old while the API server responds.", nil, nil)
	heardDesc = prometheus.NewDesc("platformprofile_source_last_heard_timestamp_seconds",
		"Time of the last list, event or bookmark of a watched resource, in seconds since 1970; 0 if there was none. "+
			"A watch sends a bookmark every minute.", []string{"source"}, nil)
	stateDesc = prometheus.NewDesc("platformprofile_source_state",
		"State of a watched resource: Pending, Synced, Failing, Forbidden or NotServed; always 1.", []string{"source", "state"}, nil)
)

// SourceTimes returns the times of the last contact. source.Sources implements it.
type SourceTimes interface {
	// LastContact returns when the API server last responded; zero for never.
	LastContact() time.Time
	// LastHeard returns the time of the last list, event or bookmark of each source, by name; zero for never.
	LastHeard() map[string]time.Time
}

// sourceCollector collects the state and the last contact of each source when metrics are scraped.
type sourceCollector struct {
	times     SourceTimes
	inventory *inventory.Inventory
}

// RegisterSourceMetrics registers metrics of the state and the last contact of each source.
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
	w := metricWriter(series)
	w.write(contactDesc, seconds(c.times.LastContact()))
	for source, heard := range c.times.LastHeard() {
		w.write(heardDesc, seconds(heard), source)
	}
	for source, state := range c.inventory.Snapshot().SourceStates() {
		w.write(stateDesc, 1, source, state.String())
	}
}

// seconds returns the seconds since 1970; 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
