//! dead-channels
