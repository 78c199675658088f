//! textparse.
