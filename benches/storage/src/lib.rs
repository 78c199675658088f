//! Measures the store's formats beside those of Prometheus and VictoriaMetrics, on the same samples in the same run.
