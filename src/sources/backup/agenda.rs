//! What is to be done when somebody looks at a backup directory: pure, it is told the time, the zone, the schedules and what is
//! remembered of runs.

use super::book;
use super::runs::Runs;
use super::schedule::Listing;
use crate::engine::due::{Date, Finding, Look, Plan, Record};
use crate::parts::duration::Millis;
use crate::parts::zone::Zone;

/// Whoever was busy and looks again within so many seconds has gone on without a break.
const MINUTE: i64 = 60;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agenda {
    /// What the log is told first.
    pub told: Vec<String>,
    /// Which of the good schedules are to run, and for which dates: the first at once, the others when it is looked again.
    pub to_run: Vec<(usize, Date)>,
    /// Since when backups are made one after the other, with that first one (Unix time in seconds).
    pub since: i64,
    /// When any is due next (Unix time in seconds).
    pub next: Option<i64>,
}

impl Agenda {
    /// Looks, at `now` (Unix time in seconds), and remembers that.
    pub fn new(now: i64, zone: &Zone, listing: &Listing, runs: &mut Runs) -> Agenda {
        // Since when backups are made: what has become due meanwhile has not been missed.
        let busy = runs.busy.take().filter(|(_, until)| (0..MINUTE).contains(&now.saturating_sub(*until)));
        let busy = busy.map(|(since, _)| since);
        let waited = busy.map_or(0, |since| now.saturating_sub(since).saturating_add(MINUTE).unsigned_abs() * 1_000);
        let lenient = |plan: &Plan| {
            let own = if runs.known.contains(&plan.key) { plan.catchup.0 } else { 0 };
            Plan { catchup: Millis(own.max(waited)), ..plan.clone() }
        };
        let plans: Vec<Plan> = listing.good.iter().map(|(_, schedule)| lenient(&schedule.plan)).collect();
        let plans: Vec<&Plan> = plans.iter().collect();
        let mut agenda = Agenda { told: Vec::new(), to_run: Vec::new(), since: busy.unwrap_or(now), next: None };
        if busy.is_none() {
            let malformed =
                |(index, wrong): &(usize, String)| format!("Error: malformed schedule at index {index}: {wrong}");
            agenda.told = listing.bad.iter().map(malformed).collect();
        }
        // What was in its minute when that began has not been missed either.
        let began = busy.map_or(now, |since| since.saturating_sub(MINUTE));
        let look = Look { now, last: runs.last.unwrap_or(now).min(began), zone, starting: true };
        let mut gone = Vec::new();
        for finding in look.findings(&plans, &runs.records) {
            match finding {
                Finding::Failed(at) => {
                    if let Some(record) = runs.records.get_mut(at) {
                        record.finished = true;
                        agenda.told.push(format!("Backup failed for {}: it was cut off", source(record)));
                    }
                }
                Finding::Ahead(at) => {
                    gone.push(at);
                    let source = runs.records.get(at).map(source).unwrap_or_default();
                    let wrong = "Error: the clock was wrong: a run";
                    agenda.told.push(format!("{wrong} for {source} is dated ahead, and forgotten"));
                }
                Finding::Old(at) => gone.push(at),
                Finding::Run(at, date) => agenda.to_run.push((at, date)),
                Finding::Missed(at, date) => {
                    // It is told once, and what is new has missed nothing.
                    let missed = plans.get(at).filter(|plan| busy.is_none() && runs.known.contains(&plan.key));
                    let source = missed.map(|plan| book::line(&plan.key.path));
                    agenda.told.extend(source.map(|source| format!("Error: backup missed for {source} on {date}")));
                }
            }
        }
        let mut at = 0;
        runs.records.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        // All of them have begun, as far as the next look is concerned, only when they have.
        if agenda.to_run.len() < 2 {
            runs.last = Some(now);
            runs.known = plans.iter().map(|plan| plan.key.clone()).collect();
        }
        agenda.next = plans.iter().filter_map(|plan| plan.next_due(zone, now)).map(|(_, due)| due).min();
        agenda
    }
}

fn source(record: &Record) -> String {
    book::line(&record.key.path)
}

#[cfg(test)]
mod tests;
