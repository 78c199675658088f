package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// measurement asks for the shortest of several runs.
type measurement struct {
	Query  string `json:"query"`
	Start  int64  `json:"start"`
	End    int64  `json:"end"`
	Step   int64  `json:"step"`
	Rounds int    `json:"rounds"`
}

type measured struct {
	Error string `json:"error,omitempty"`
	// CPU time of the fastest round, garbage collection included.
	Seconds float64 `json:"seconds"`
	// How much more memory was resident at most during the first run than before it.
	PeakBytes int64 `json:"peak_bytes"`
	Series    int   `json:"series"`
	Points    int   `json:"points"`
	// Sum of all finite values, to see that both engines did the same.
	Sum float64 `json:"sum"`
}

func measureAll(path string) error {
	runtime.GOMAXPROCS(1)
	store, err := load(path)
	if err != nil {
		return err
	}
	engine := newEngine(options{MaxSamples: 1 << 40})
	return lines(func(line []byte) (any, error) {
		var m measurement
		if err := json.Unmarshal(line, &m); err != nil {
			return nil, err
		}
		return measure(engine, store, m), nil
	})
}

func measure(engine *promql.Engine, store *memory, m measurement) measured {
	// Fills the cache of selected series, whose making is not measured, at next to no cost.
	once(engine, store, measurement{Query: m.Query, Start: m.Start, End: m.Start, Step: min(m.Step, 1)}, 0)
	runtime.GC()
	debug.FreeOSMemory()
	before := statusBytes("VmRSS:")
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	out := once(engine, store, m, 0)
	out.PeakBytes = statusBytes("VmHWM:") - before
	if out.Error != "" {
		return out
	}
	for range m.Rounds {
		if again := once(engine, store, m, 0.05); again.Seconds < out.Seconds {
			out.Seconds = again.Seconds
		}
	}
	return out
}

// once runs a query as often as it takes to spend so many seconds, and gives the time of one run.
func once(engine *promql.Engine, store *memory, m measurement, seconds float64) measured {
	ctx := context.Background()
	var out measured
	start, runs := cpuSeconds(), 0
	for {
		var query promql.Query
		var err error
		if m.Step == 0 {
			query, err = engine.NewInstantQuery(ctx, store, nil, m.Query, time.UnixMilli(m.Start))
		} else {
			step := time.Duration(m.Step) * time.Millisecond
			query, err = engine.NewRangeQuery(ctx, store, nil, m.Query, time.UnixMilli(m.Start), time.UnixMilli(m.End), step)
		}
		if err != nil {
			return measured{Error: err.Error()}
		}
		result := query.Exec(ctx)
		if result.Err != nil {
			return measured{Error: result.Err.Error()}
		}
		runs++
		spent := cpuSeconds() - start
		if done := spent >= seconds; done {
			out.Seconds = spent / float64(runs)
			out.see(result.Value)
			query.Close()
			return out
		}
		query.Close()
	}
}

func (m *measured) see(value parser.Value) {
	float := func(f float64) {
		m.Points++
		if f-f == 0 {
			m.Sum += f
		}
	}
	switch v := value.(type) {
	case promql.Scalar:
		float(v.V)
	case promql.Vector:
		m.Series = len(v)
		for _, s := range v {
			if s.H != nil {
				float(s.H.Count)
			} else {
				float(s.F)
			}
		}
	case promql.Matrix:
		m.Series = len(v)
		for _, s := range v {
			for _, p := range s.Floats {
				float(p.F)
			}
			for _, p := range s.Histograms {
				float(p.H.Count)
			}
		}
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func statusBytes(field string) int64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// load maps a file of samples. All is in words of 8 bytes, little endian; see `data.rs`. What is mapped is not on the
// heap, so it does not make the collector lazier.
func load(path string) (*memory, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	mapped, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	r := &reader{words: unsafe.Slice((*uint64)(unsafe.Pointer(&mapped[0])), len(mapped)/8)}
	if r.word() != 0x66697265666f7831 {
		return nil, fmt.Errorf("%s: not a file of samples", path)
	}
	axes := make([][]int64, r.word())
	for i := range axes {
		n := r.word()
		axes[i] = unsafe.Slice((*int64)(unsafe.Pointer(&r.take(n)[0])), n)
	}
	all := make([]*series, r.word())
	for i := range all {
		all[i] = r.series(axes)
	}
	return newMemory(all), nil
}

type reader struct {
	words []uint64
}

func (r *reader) take(n uint64) []uint64 {
	taken := r.words[:n]
	r.words = r.words[n:]
	return taken
}

func (r *reader) word() uint64 { return r.take(1)[0] }

func (r *reader) text() string {
	n := r.word()
	words := r.take((n + 7) / 8)
	if n == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n))
}

func (r *reader) series(axes [][]int64) *series {
	n := r.word()
	builder := labels.NewScratchBuilder(int(n))
	for range n {
		name := r.text()
		builder.Add(name, r.text())
	}
	builder.Sort()
	s := &series{labels: builder.Labels(), timestamps: axes[r.word()]}
	samples := uint64(len(s.timestamps))
	if buckets := r.word(); buckets > 0 {
		// Histograms of schema 3 with all positive buckets in one span: count, sum, zero count, buckets.
		s.histograms = make([]*histogram.FloatHistogram, samples)
		span := []histogram.Span{{Offset: 0, Length: uint32(buckets)}}
		for i := range s.histograms {
			words := r.take(3 + buckets)
			floats := unsafe.Slice((*float64)(unsafe.Pointer(&words[0])), 3+buckets)
			hint := histogram.NotCounterReset
			if i == 0 {
				hint = histogram.UnknownCounterReset
			}
			s.histograms[i] = &histogram.FloatHistogram{
				CounterResetHint: hint, Schema: 3, ZeroThreshold: 1e-9,
				Count: floats[0], Sum: floats[1], ZeroCount: floats[2],
				PositiveSpans: span, PositiveBuckets: floats[3:],
			}
		}
		return s
	}
	words := r.take(samples)
	s.floats = unsafe.Slice((*float64)(unsafe.Pointer(&words[0])), samples)
	return s
}
