package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"
)

// request either replaces the samples (Load) or asks a query.
type request struct {
	Load    []jsonSeries `json:"load"`
	Query   string       `json:"query"`
	Start   int64        `json:"start"`
	End     int64        `json:"end"`
	Step    int64        `json:"step"` // 0: at Start
	Options options      `json:"options"`
}

// jsonSeries has a sample at each of T: F is a float, or H a histogram where it is not null.
type jsonSeries struct {
	Labels map[string]string `json:"labels"`
	T      []int64           `json:"t"`
	F      []number          `json:"f"`
	H      []*jsonHistogram  `json:"h"`
	ST     []int64           `json:"st"`
}

// number is a float by its bits, so that every NaN arrives as it is.
type number float64

func (n *number) UnmarshalJSON(text []byte) error {
	bits, err := strconv.ParseUint(string(text), 10, 64)
	*n = number(math.Float64frombits(bits))
	return err
}

func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendUint(nil, math.Float64bits(float64(n)), 10), nil
}

type jsonSpan [2]int64

type jsonHistogram struct {
	Hint   int        `json:"hint"` // unknown, reset, not reset, gauge
	Schema int32      `json:"schema"`
	ZT     number     `json:"zt"`
	ZC     number     `json:"zc"`
	Count  number     `json:"count"`
	Sum    number     `json:"sum"`
	PS     []jsonSpan `json:"ps"`
	NS     []jsonSpan `json:"ns"`
	PB     []number   `json:"pb"`
	NB     []number   `json:"nb"`
	CV     []number   `json:"cv"`
}

type jsonPoint struct {
	T int64          `json:"t"`
	F number         `json:"f"`
	H *jsonHistogram `json:"h,omitempty"`
}

type jsonResult struct {
	Labels map[string]string `json:"labels"`
	Points []jsonPoint       `json:"points"`
}

type answer struct {
	Error    string       `json:"error,omitempty"`
	Type     string       `json:"type,omitempty"`
	Text     string       `json:"text,omitempty"`
	Series   []jsonResult `json:"series,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Infos    []string     `json:"infos,omitempty"`
	// Sample statistics.
	Total   int64   `json:"total"`
	Peak    int     `json:"peak"`
	PerStep []int64 `json:"per_step,omitempty"`
}

func answerAll() error {
	store := newMemory(nil)
	engines := map[options]*promql.Engine{}
	return lines(func(line []byte) (any, error) {
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		if r.Load != nil {
			store = newMemory(fromJSON(r.Load))
			return answer{}, nil
		}
		engine := engines[r.Options]
		if engine == nil {
			engine = newEngine(r.Options)
			engines[r.Options] = engine
		}
		return ask(engine, store, r), nil
	})
}

func ask(engine *promql.Engine, store *memory, r request) answer {
	ctx := context.Background()
	opts := promql.NewPrometheusQueryOpts(r.Options.PerStepStats, 0)
	var query promql.Query
	var err error
	if r.Step == 0 {
		query, err = engine.NewInstantQuery(ctx, store, opts, r.Query, time.UnixMilli(r.Start))
	} else {
		step := time.Duration(r.Step) * time.Millisecond
		query, err = engine.NewRangeQuery(ctx, store, opts, r.Query, time.UnixMilli(r.Start), time.UnixMilli(r.End), step)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return answer{Error: result.Err.Error()}
	}
	var a answer
	a.Warnings, a.Infos = result.Warnings.AsStrings(r.Query, 0, 0)
	a.fill(result.Value)
	s := stats.NewQueryStats(query.Stats())
	if s.Builtin().Samples != nil {
		a.Total, a.Peak = s.Builtin().Samples.TotalQueryableSamples, s.Builtin().Samples.PeakSamples
		for _, step := range s.Builtin().Samples.TotalQueryableSamplesPerStep {
			a.PerStep = append(a.PerStep, step.V)
		}
	}
	return a
}

func (a *answer) fill(value parser.Value) {
	switch v := value.(type) {
	case promql.Scalar:
		a.Type = "scalar"
		a.Series = []jsonResult{{Points: []jsonPoint{{T: v.T, F: number(v.V)}}}}
	case promql.String:
		a.Type, a.Text = "string", strconv.Quote(v.V)
	case promql.Vector:
		a.Type = "vector"
		for _, s := range v {
			a.Series = append(a.Series, jsonResult{s.Metric.Map(), []jsonPoint{{s.T, number(s.F), toJSON(s.H)}}})
		}
	case promql.Matrix:
		a.Type = "matrix"
		for _, s := range v {
			points := make([]jsonPoint, 0, len(s.Floats)+len(s.Histograms))
			for _, p := range s.Floats {
				points = append(points, jsonPoint{T: p.T, F: number(p.F)})
			}
			for _, p := range s.Histograms {
				points = append(points, jsonPoint{T: p.T, H: toJSON(p.H)})
			}
			a.Series = append(a.Series, jsonResult{s.Metric.Map(), points})
		}
	default:
		a.Error = fmt.Sprintf("unexpected value %T", value)
	}
}

func fromJSON(all []jsonSeries) []*series {
	out := make([]*series, 0, len(all))
	for _, j := range all {
		s := &series{labels: labels.FromMap(j.Labels), timestamps: j.T, starts: j.ST}
		for _, f := range j.F {
			s.floats = append(s.floats, float64(f))
		}
		for _, h := range j.H {
			s.histograms = append(s.histograms, h.histogram())
		}
		out = append(out, s)
	}
	return out
}

func (j *jsonHistogram) histogram() *histogram.FloatHistogram {
	if j == nil {
		return nil
	}
	return &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(j.Hint),
		Schema:           j.Schema,
		ZeroThreshold:    float64(j.ZT),
		ZeroCount:        float64(j.ZC),
		Count:            float64(j.Count),
		Sum:              float64(j.Sum),
		PositiveSpans:    spans(j.PS),
		NegativeSpans:    spans(j.NS),
		PositiveBuckets:  floats(j.PB),
		NegativeBuckets:  floats(j.NB),
		CustomValues:     floats(j.CV),
	}
}

func toJSON(h *histogram.FloatHistogram) *jsonHistogram {
	if h == nil {
		return nil
	}
	return &jsonHistogram{
		Hint:   int(h.CounterResetHint),
		Schema: h.Schema,
		ZT:     number(h.ZeroThreshold),
		ZC:     number(h.ZeroCount),
		Count:  number(h.Count),
		Sum:    number(h.Sum),
		PS:     jsonSpans(h.PositiveSpans),
		NS:     jsonSpans(h.NegativeSpans),
		PB:     numbers(h.PositiveBuckets),
		NB:     numbers(h.NegativeBuckets),
		CV:     numbers(h.CustomValues),
	}
}

func spans(in []jsonSpan) []histogram.Span {
	var out []histogram.Span
	for _, s := range in {
		out = append(out, histogram.Span{Offset: int32(s[0]), Length: uint32(s[1])})
	}
	return out
}

func jsonSpans(in []histogram.Span) []jsonSpan {
	var out []jsonSpan
	for _, s := range in {
		out = append(out, jsonSpan{int64(s.Offset), int64(s.Length)})
	}
	return out
}

func floats(in []number) []float64 {
	var out []float64
	for _, f := range in {
		out = append(out, float64(f))
	}
	return out
}

func numbers(in []float64) []number {
	var out []number
	for _, f := range in {
		out = append(out, number(f))
	}
	return out
}
