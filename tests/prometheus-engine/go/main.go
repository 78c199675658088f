// Command prometheus-engine runs Prometheus's own PromQL engine over samples that it is given, for comparison.
//
//	prometheus-engine answer           reads requests, one JSON object a line, and writes an answer a line
//	prometheus-engine measure FILE     loads the samples of FILE, then reads requests and writes how long each took
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus-engine:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "answer":
		return answerAll()
	case len(args) == 2 && args[0] == "measure":
		return measureAll(args[1])
	}
	return fmt.Errorf("usage: prometheus-engine answer | measure FILE")
}

// lines calls handle for every line of the standard input and writes what it returns as a line of JSON.
func lines(handle func(line []byte) (any, error)) error {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := handle(line)
		if err != nil {
			return err
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// options are those that a request may choose.
type options struct {
	DelayedNameRemoval bool `json:"delayed_name_removal"`
	StartTimestamps    bool `json:"start_timestamps"`
	MaxSamples         int  `json:"max_samples"`
	PerStepStats       bool `json:"per_step_stats"`
}

func newEngine(o options) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:               o.MaxSamples,
		Timeout:                  10 * time.Minute,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       o.PerStepStats,
		EnableDelayedNameRemoval: o.DelayedNameRemoval,
		UseStartTimestamps:       o.StartTimestamps,
		Parser: parser.NewParser(parser.Options{
			EnableExperimentalFunctions:  true,
			ExperimentalDurationExpr:     true,
			EnableExtendedRangeSelectors: true,
			EnableBinopFillModifiers:     true,
		}),
	})
}
