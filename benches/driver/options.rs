//! The command line: `--bootstrap FILE --floor FILE [--python FILE] [--also NAME=FILE]…
//! [--processes N] [--under "PROGRAM …"]`.

use std::path::PathBuf;

/// What to measure, and how often.
pub struct Options {
    /// The product.
    pub bootstrap: PathBuf,
    /// What it is measured against.
    pub floor: PathBuf,
    /// A Python that has `benches/python/requirements.txt` installed.
    pub python: Option<PathBuf>,
    /// Other builds of the product, to be compared in the same run.
    pub also: Vec<(String, PathBuf)>,
    /// Fresh processes for each target.
    pub processes: usize,
    /// A program to start each target under, with its arguments (`strace -c`, `perf record`).
    pub under: Vec<String>,
}

/// Reads the arguments; `None` if they do not name the two binaries.
pub fn read(arguments: impl Iterator<Item = String>) -> Option<Options> {
    let (mut bootstrap, mut floor, mut python) = (None, None, None);
    let mut processes = 21;
    let (mut also, mut under) = (Vec::new(), Vec::new());
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--bootstrap" => bootstrap = Some(value().into()),
            "--floor" => floor = Some(value().into()),
            "--python" => python = Some(value().into()),
            "--also" => {
                let value = value();
                let (name, path) = value.split_once('=').expect("--also takes NAME=FILE");
                also.push((name.to_owned(), path.into()));
            }
            "--processes" => processes = value().parse().expect("--processes is a number"),
            "--under" => under = value().split_whitespace().map(str::to_owned).collect(),
            // `--bench` is cargo's; test runners add theirs.
            _ => {}
        }
    }
    Some(Options { bootstrap: bootstrap?, floor: floor?, python, also, processes, under })
}
