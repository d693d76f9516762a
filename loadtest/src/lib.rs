//! Load tests measured from the due time: plans, the goose driver, histograms, thresholds, results.
#![forbid(unsafe_code)]
