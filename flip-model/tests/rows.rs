//! Every row, shown as it ends; names of rows as arguments choose among them.

use std::process::ExitCode;

use clap::Parser;
use flip_model::Cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // What the usual harness understands and this one has no use for.
    let arguments =
        std::env::args().filter(|argument| !matches!(argument.as_str(), "--nocapture" | "--ignored"));
    Cli::parse_from(arguments).run()
}
