//! The tables: figures, ratios to the floor, and whether the goals are met.

use std::fmt::Write as _;
use std::time::Duration;

use super::process::{Phase, Sample, WARM};
use super::target::{FLOOR, PRODUCT, Target};

/// The goals, as ratios to the floor and as sizes.
const INIT_AND_COLD: f64 = 1.3;
const WARM_GOAL: f64 = 1.2;
const MEMORY: f64 = 25.0 * 1024.0 * 1024.0;
const ZIP: f64 = 6e6;

type Rows<'a> = [(&'a Target, Vec<Sample>)];

/// Everything that is printed.
pub fn render(rows: &Rows<'_>, load_before: &str, load_after: &str) -> String {
    let mut text = format!(
        "{} processes each, 1 cold and {WARM} warm events; median (min) in ms; \
         load before {load_before}, after {load_after}\n\n\
         | target | init | cold | warm | repeated | CPU init / cold / warm | peak RSS MiB | \
         spawn to first PUT | binary / deflated |\n|---|---|---|---|---|---|---|---|---|\n",
        rows[0].1.len(),
    );
    for (target, samples) in rows {
        text += &row(target, samples);
    }
    text += "\n| ratio to the floor | init | cold | warm | CPU init / cold / warm | spawn to first PUT |\n\
             |---|---|---|---|---|---|\n";
    let of = |name: &str| rows.iter().find(|(target, _)| target.name == name);
    let Some((_, floor)) = of(FLOOR) else { return text };
    for (target, samples) in rows.iter().filter(|(target, _)| target.name != FLOOR) {
        let ratio = |of: &dyn Fn(&Sample) -> Vec<Duration>| ratio(samples, floor, of);
        let _infallible = writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} / {:.2} / {:.2} | {:.2} |",
            target.name,
            ratio(&|it| vec![it.init.wall]),
            ratio(&|it| vec![it.cold.wall]),
            ratio(&|it| walls(&it.warm)),
            ratio(&|it| vec![it.init.cpu]),
            ratio(&|it| vec![it.cold.cpu]),
            ratio(&|it| cpus(&it.warm)),
            ratio(&|it| vec![it.init.wall + it.cold.wall]),
        );
    }
    if let Some((target, samples)) = of(PRODUCT) {
        text += &goals(target, samples, floor);
    }
    text
}

fn row(target: &Target, samples: &[Sample]) -> String {
    let all = |of: &dyn Fn(&Sample) -> Vec<Duration>| {
        samples.iter().flat_map(of).map(milliseconds).collect::<Vec<_>>()
    };
    let shown = |of: &dyn Fn(&Sample) -> Vec<Duration>| {
        let mut values = all(of);
        if values.is_empty() {
            return "–".to_owned();
        }
        format!("{:.1} ({:.1})", median(&mut values), values[0])
    };
    let middle = |of: &dyn Fn(&Sample) -> Vec<Duration>| median(&mut all(of));
    let size = match target.size() {
        Some((bytes, zipped)) => format!("{} / {}", megabytes(bytes), megabytes(zipped)),
        None => "–".into(),
    };
    format!(
        "| {} | {} | {} | {} | {} | {:.1} / {:.1} / {:.1} | {:.1} | {} | {size} |\n",
        target.name,
        shown(&|it| vec![it.init.wall]),
        shown(&|it| vec![it.cold.wall]),
        shown(&|it| walls(&it.warm)),
        shown(&|it| it.repeated.iter().map(|it| it.wall).collect()),
        middle(&|it| vec![it.init.cpu]),
        middle(&|it| vec![it.cold.cpu]),
        middle(&|it| cpus(&it.warm)),
        memory(samples) / 1024.0 / 1024.0,
        shown(&|it| vec![it.init.wall + it.cold.wall]),
    )
}

fn goals(target: &Target, samples: &[Sample], floor: &[Sample]) -> String {
    let mut text = "\n| goal | is | at most | |\n|---|---|---|---|\n".to_owned();
    let mut goal = |what: &str, is: f64, most: f64, shown: &dyn Fn(f64) -> String| {
        let met = if is <= most { "met" } else { "**not met**" };
        let _infallible = writeln!(text, "| {what} | {} | {} | {met} |", shown(is), shown(most));
    };
    let times = |it: f64| format!("{it:.2} × floor");
    let ratio = |of: &dyn Fn(&Sample) -> Vec<Duration>| ratio(samples, floor, of);
    goal("init", ratio(&|it| vec![it.init.wall]), INIT_AND_COLD, &times);
    goal("cold event", ratio(&|it| vec![it.cold.wall]), INIT_AND_COLD, &times);
    goal("warm event", ratio(&|it| walls(&it.warm)), WARM_GOAL, &times);
    let mebibytes = |it: f64| format!("{:.1} MiB", it / 1024.0 / 1024.0);
    goal("peak RSS", memory(samples), MEMORY, &mebibytes);
    if let Some((_, zipped)) = target.size() {
        goal("zip", as_float(zipped), ZIP, &|it| format!("{:.2} MB", it / 1e6));
    }
    text
}

fn ratio(samples: &[Sample], floor: &[Sample], of: &dyn Fn(&Sample) -> Vec<Duration>) -> f64 {
    let middle = |samples: &[Sample]| {
        median(&mut samples.iter().flat_map(of).map(milliseconds).collect::<Vec<_>>())
    };
    middle(samples) / middle(floor)
}

fn memory(samples: &[Sample]) -> f64 {
    median(&mut samples.iter().map(|it| as_float(it.peak_memory)).collect::<Vec<_>>())
}

fn walls(phases: &[Phase]) -> Vec<Duration> {
    phases.iter().map(|it| it.wall).collect()
}

fn cpus(phases: &[Phase]) -> Vec<Duration> {
    phases.iter().map(|it| it.cpu).collect()
}

/// The middle one; sorts.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", as_float(bytes) / 1e6)
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}
