package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/platformprofile/platformprofile/internal/inventory"
)

var (
	contactDesc = prometheus.NewDesc("platformprofile_api_server_last_contact_timestamp_seconds",
		"When the API server last answered the operator, in seconds since 1970; 0 where it never did.", nil, nil)
	heardDesc = prometheus.NewDesc("platformprofile_source_last_heard_timestamp_seconds",
		"When a watched resource was last listed, or its watch had a word, in seconds since 1970; 0 where it never was. A watch with nothing to say says so every minute.", []string{"source"}, nil)
	sightDesc = prometheus.NewDesc("platformprofile_source_sight",
		"How well a watched resource can be seen: Seen, Blind, NotServed or Pending; always 1.", []string{"source", "sight"}, nil)
)

// Watched tells how fresh the inventory is. observe.Live is one.
type Watched interface {
	// LastContact is when the API server last answered; zero where it never did.
	LastContact() time.Time
	// Heard is when each source was last heard of, by its name; zero for one that never was.
	Heard() map[string]time.Time
}

// sightCollector shows the age of what the operator knows, as it is when it is asked for.
type sightCollector struct {
	watched   Watched
	inventory *inventory.Inventory
}

// RegisterSightMetrics shows as metrics how fresh an inventory is.
func RegisterSightMetrics(w Watched, i *inventory.Inventory) error {
	return metrics.Registry.Register(&sightCollector{w, i})
}

// Describe implements prometheus.Collector.
func (c *sightCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- contactDesc
	descs <- heardDesc
	descs <- sightDesc
}

// Collect implements prometheus.Collector.
func (c *sightCollector) Collect(series chan<- prometheus.Metric) {
	s := showing(series)
	s.show(contactDesc, seconds(c.watched.LastContact()))
	for source, heard := range c.watched.Heard() {
		s.show(heardDesc, seconds(heard), source)
	}
	for source, sight := range c.inventory.Snapshot().Sights() {
		s.show(sightDesc, 1, source, sight.String())
	}
}

// seconds are those since 1970, and 0 for no time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
