package measure

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 0, 100)
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i)*time.Millisecond)
	}
	for _, c := range []struct {
		times   []time.Duration
		percent float64
		want    time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 50, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{3, 1, 2}, 50, 2},
		{hundred, 50, 50 * time.Millisecond},
		{hundred, 99, 99 * time.Millisecond},
		{hundred, 100, 100 * time.Millisecond},
		{hundred, 0, time.Millisecond},
	} {
		if got := Percentile(c.times, c.percent); got != c.want {
			t.Errorf("percentile %g of %d times: %s, want %s", c.percent, len(c.times), got, c.want)
		}
	}
}

func TestMostWithin(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(milliseconds ...int) []time.Time {
		moments := make([]time.Time, 0, len(milliseconds))
		for _, ms := range milliseconds {
			moments = append(moments, start.Add(time.Duration(ms)*time.Millisecond))
		}
		return moments
	}
	for _, c := range []struct {
		moments []time.Time
		want    int
	}{
		{nil, 0},
		{at(5), 1},
		{at(0, 1000), 1},
		{at(0, 999), 2},
		{at(900, 1100, 100, 1800, 1950, 3000), 3},
	} {
		if got := MostWithin(c.moments, time.Second); got != c.want {
			t.Errorf("most of %v within a second: %d, want %d", c.moments, got, c.want)
		}
	}
}
