//! Experiments that prove a promise under a fault: inject, observe, roll back, judge.
#![forbid(unsafe_code)]
