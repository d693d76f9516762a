//! The image service: upload, list, metadata, content, render, delete.
#![forbid(unsafe_code)]
