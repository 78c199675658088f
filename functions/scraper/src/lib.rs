//! scraper-function.
