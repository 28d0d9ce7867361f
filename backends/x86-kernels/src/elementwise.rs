//! Element by element.
