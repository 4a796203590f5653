package bench

import (
	"errors"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Disk is the latency of an fsync of 4 KiB, in milliseconds: the least that a durable commit can take.
type Disk struct {
	P50 float64 `json:"p50ms"`
	P99 float64 `json:"p99ms"`
}

// fsyncs and blockSize are the amount of work of MeasureDisk.
const (
	fsyncs    = 500
	blockSize = 4096
	diskTime  = 2 * time.Second // limit in a run of Bench
)

// MeasureDisk writes and syncs blocks of 4 KiB at the end of a temporary file in a directory, 500 of them or as many as
// the time limit permits.
func MeasureDisk(dir string, limit time.Duration) (d Disk, err error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	taken := hdrhistogram.New(1, 60_000_000, 3)
	block := make([]byte, blockSize)
	for begin, n := time.Now(), 0; n < fsyncs && time.Since(begin) < limit; n++ {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return d, err
		}
		if err := f.Sync(); err != nil {
			return d, err
		}
		_ = taken.RecordValue(min(time.Since(start).Microseconds(), taken.HighestTrackableValue()))
	}
	return Disk{milliseconds(taken, 50), milliseconds(taken, 99)}, nil
}

func milliseconds(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtQuantile(percentile)) / 1000
}
