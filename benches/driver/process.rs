//! One fresh process: its start, one cold event, four warm ones, and for the product a repeat.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::runtime_api::RuntimeApi;
use super::target::Target;
use super::usage;
use super::world::World;

pub const WARM: usize = 4;

/// A phase: how long until the other side saw its end, and what it cost the processor, including
/// what the process does after that until it waits again.
#[derive(Clone, Copy)]
pub struct Phase {
    pub wall: Duration,
    pub cpu: Duration,
}

pub struct Sample {
    /// From the spawn to the first `GET /next`.
    pub init: Phase,
    /// From handing out the first event to the PUT of its answer.
    pub cold: Phase,
    /// The same for the events after it.
    pub warm: Vec<Phase>,
    /// The same for an event that was answered before.
    pub repeated: Option<Phase>,
    pub peak_memory: u64,
}

struct Running<'a> {
    target: &'a Target,
    world: &'a World,
    api: RuntimeApi,
    child: Child,
    cpu: Duration,
}

/// Starts the target, sends it events, and ends it.
pub fn measure(target: &Target, world: &World) -> Sample {
    let api = RuntimeApi::start();
    let mut command = target.command(world, &api.address);
    let spawned = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", target.name));
    let mut process = Running { target, world, api, child, cpu: Duration::ZERO };
    let Some(idle) = process.api.wait_until_idle() else { process.fail("it asks for no event") };
    let init = Phase { wall: idle - spawned, cpu: process.used() };
    let cold = process.event(&world.event("Create"));
    let mut last = Value::Null;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        last = world.event("Update");
        warm.push(process.event(&last));
    }
    let repeated = target.has_ledger.then(|| process.event(&last));
    let peak_memory = usage::peak_memory(process.child.id());
    Sample { init, cold, warm, repeated, peak_memory }
}

impl Running<'_> {
    fn event(&mut self, event: &Value) -> Phase {
        let sent = self.api.offer(event.to_string());
        let answered = match self.world.wait_for_answer(event) {
            Ok(at) => at,
            Err(why) => self.fail(&why),
        };
        if self.api.wait_until_idle().is_none() {
            self.fail("it does not come back for the next event");
        }
        Phase { wall: answered - sent, cpu: self.used() }
    }

    /// What it used since the last time.
    fn used(&mut self) -> Duration {
        // It asked for an event a moment ago; now it falls asleep, and the count is complete.
        std::thread::sleep(Duration::from_millis(3));
        let before = std::mem::replace(&mut self.cpu, usage::cpu(self.child.id()));
        self.cpu.saturating_sub(before)
    }

    fn fail(&self, why: &str) -> ! {
        let log = std::fs::read_to_string(self.target.log(self.world)).unwrap_or_default();
        panic!("{}: {why}\n{log}", self.target.name);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // SIGTERM would be kinder, but Lambda is not kind either.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
