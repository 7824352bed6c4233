//! Explores the flip protocol's own state machines, row by row.

use std::process::ExitCode;

use clap::Parser;
use flip_model::Cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
