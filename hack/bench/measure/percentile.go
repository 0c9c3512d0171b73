package measure

import (
	"math"
	"slices"
	"time"
)

// Percentile is the least of the times that so many percent of them do not exceed. Of none it is 0.
func Percentile(times []time.Duration, percent float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// MostWithin is the largest number of moments that fall within any span of a length.
func MostWithin(moments []time.Time, span time.Duration) int {
	sorted := slices.SortedFunc(slices.Values(moments), time.Time.Compare)
	most, first := 0, 0
	for last := range sorted {
		for sorted[last].Sub(sorted[first]) >= span {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
