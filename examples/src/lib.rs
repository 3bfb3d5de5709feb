//! Shared by nothing: the examples stand beside this file.
