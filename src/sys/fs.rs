//! Files: the root prefix, atomic replacement, journaled commits of several files.
