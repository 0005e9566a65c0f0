//! One run: the world is started, each target warms up once, then all are measured in turn.

// A bench is a program for people: it prints, and it stops at what should not happen.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod https;
pub mod options;
mod process;
mod runtime_api;
mod table;
mod target;
mod usage;
mod world;

use options::Options;
use process::Sample;
use target::Target;
use world::World;

/// Measures what `options` name, and prints the tables.
pub fn run(options: &Options) {
    let world = World::start();
    let targets = target::all(options, &world);
    let load = usage::load();
    for target in &targets {
        // Its files come into the page cache, and the first of all makes the ledger.
        process::measure(target, &world);
    }
    let mut samples: Vec<Vec<Sample>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..options.processes {
        for (target, samples) in targets.iter().zip(&mut samples) {
            samples.push(process::measure(target, &world));
        }
        eprint!("\rround {} of {}", round + 1, options.processes);
    }
    eprintln!();
    let rows: Vec<(&Target, Vec<Sample>)> = targets.iter().zip(samples).collect();
    println!("{}", table::render(&rows, &load, &usage::load()));
}
