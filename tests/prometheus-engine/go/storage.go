package main

import (
	"context"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// memory is a storage whose samples are plain slices, so that what an engine takes is its own and not a decoder's.
type memory struct {
	series []*series // sorted by labels
	// What a selector of the same matchers gave before. Finding series is not what is measured.
	found map[string][]*series
}

// series holds either floats or histograms at each of its timestamps.
type series struct {
	labels     labels.Labels
	timestamps []int64
	floats     []float64                   // nil where all are histograms
	histograms []*histogram.FloatHistogram // nil where all are floats; else nil where it is a float
	starts     []int64                     // start timestamps, or nil
}

func newMemory(all []*series) *memory {
	slices.SortFunc(all, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	return &memory{series: all, found: map[string][]*series{}}
}

func (m *memory) samples() int {
	n := 0
	for _, s := range m.series {
		n += len(s.timestamps)
	}
	return n
}

func (m *memory) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{m, mint, maxt}, nil
}

type querier struct {
	memory     *memory
	mint, maxt int64
}

func (*querier) Close() error { return nil }

func (*querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (*querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *querier) Select(_ context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	key := ""
	for _, m := range matchers {
		key += m.String() + "\x00"
	}
	found, ok := q.memory.found[key]
	if !ok {
		for _, s := range q.memory.series {
			if matchesAll(s.labels, matchers) {
				found = append(found, s)
			}
		}
		q.memory.found[key] = found
	}
	set := &seriesSet{series: found, mint: q.mint, maxt: q.maxt, at: -1}
	if hints != nil {
		set.mint, set.maxt = hints.Start, hints.End
	}
	return set
}

func matchesAll(l labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

type seriesSet struct {
	series     []*series
	mint, maxt int64
	at         int
}

// Next skips series without a sample in the range, as Prometheus's storage does.
func (s *seriesSet) Next() bool {
	for s.at++; s.at < len(s.series); s.at++ {
		if first, next := s.series[s.at].within(s.mint, s.maxt); first < next {
			return true
		}
	}
	return false
}

func (s *seriesSet) At() storage.Series {
	return &window{s.series[s.at], s.mint, s.maxt}
}
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

func (s *series) within(mint, maxt int64) (first, next int) {
	first = sort.Search(len(s.timestamps), func(i int) bool { return s.timestamps[i] >= mint })
	next = sort.Search(len(s.timestamps), func(i int) bool { return s.timestamps[i] > maxt })
	return first, next
}

// window is the part of a series that a query reads.
type window struct {
	*series
	mint, maxt int64
}

func (w *window) Labels() labels.Labels { return w.labels }

func (w *window) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	first, next := w.within(w.mint, w.maxt)
	if old, ok := it.(*iterator); ok {
		*old = iterator{w.series, first, next, first - 1}
		return old
	}
	return &iterator{w.series, first, next, first - 1}
}

type iterator struct {
	s           *series
	first, next int
	at          int
}

func (it *iterator) kind() chunkenc.ValueType {
	if it.at >= it.next {
		return chunkenc.ValNone
	}
	if it.s.histograms != nil && it.s.histograms[it.at] != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func (it *iterator) Next() chunkenc.ValueType {
	if it.at < it.next {
		it.at++
	}
	return it.kind()
}

func (it *iterator) Seek(t int64) chunkenc.ValueType {
	if it.at < it.first {
		it.at = it.first
	}
	// Mostly it is the next one or close.
	for steps := 0; it.at < it.next && it.s.timestamps[it.at] < t; it.at++ {
		if steps++; steps > 8 {
			rest := it.s.timestamps[it.at:it.next]
			it.at += sort.Search(len(rest), func(i int) bool { return rest[i] >= t })
			break
		}
	}
	return it.kind()
}

func (it *iterator) At() (int64, float64) { return it.s.timestamps[it.at], it.s.floats[it.at] }

func (it *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	panic("only float histograms are stored")
}

func (it *iterator) AtFloatHistogram(fh *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	stored := it.s.histograms[it.at]
	if fh == nil {
		return it.s.timestamps[it.at], stored.Copy()
	}
	stored.CopyTo(fh)
	return it.s.timestamps[it.at], fh
}

func (it *iterator) AtT() int64 { return it.s.timestamps[it.at] }

func (it *iterator) AtST() int64 {
	if len(it.s.starts) == 0 {
		return 0
	}
	return it.s.starts[it.at]
}

func (*iterator) Err() error { return nil }
