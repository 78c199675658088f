//! scrape.
