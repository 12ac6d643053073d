//! Renames: the two halves of each are brought together by their cookie (inotify(7)).
//!
//! A watched directory whose first half was read is set aside: its name is free, and it has no path until its second
//! half tells the new one, or time tells that it left the watched part. Records from below it wait with it. A directory
//! that another one is renamed onto is set aside too: with RENAME_EXCHANGE the next IN_MOVED_FROM of that name means it
//! (the records are FROM a, TO b, FROM b, TO a); if it was empty and overwritten, its own IN_IGNORED says so.

use super::tree::{Flag, Presence};
use super::{Aftermath, Event, NodeId, Scan, Sink, Tree, Watches};
use crate::sys::clock::Tick;
use crate::sys::inotify::{Mask, Record, Wd};

/// How long a second half may be missing after the queue ran empty, in milliseconds. The kernel queues both halves one
/// after the other within one rename(2), so this is long.
const PATIENCE: u64 = 20;

/// First halves that are kept for their second half's `source`, and second halves for what follows from them. Others
/// come between by few.
pub(super) const MOST_HALVES: usize = 16;

/// Whether a rename may be the first half of an exchange of which the other is the second. The kernel numbers renames one
/// after the other; others' may come between.
pub(super) fn is_just_before(first: u32, second: u32) -> bool {
    (1..=MOST_HALVES as u32).contains(&second.wrapping_sub(first))
}

/// What is known of renames that are not complete.
#[derive(Default)]
pub struct Moves {
    departures: Vec<Departure>,
    /// Those that a scan has met elsewhere.
    arrived: Vec<Departure>,
    held: Vec<Held>,
    replay_is_due: bool,
    /// Of what is not watched itself: files, and directories that no watch wants.
    first_halves: Vec<(u32, Vec<u8>)>,
    /// Names that something was renamed to.
    pub(super) second_halves: Vec<(u32, NodeId, Vec<u8>)>,
    /// Names that may have something else than the last records of them say, and those to be looked at after a read.
    pub(super) names: Vec<(NodeId, Vec<u8>)>,
    pub(super) names_later: Vec<(NodeId, Vec<u8>)>,
    /// So many first halves after a loss of events may follow on a second half that is among it.
    pub(super) after_loss: usize,
    give_up_at: Option<Tick>,
    /// The last that were taken for an exchange: the one that was set aside and has come to another's old place, and that
    /// other, which has the place of the first.
    exchanged: Option<(NodeId, NodeId)>,
    /// Directories that have been renamed and are being listed, and where they were.
    pub(super) old_paths: Vec<(NodeId, Vec<u8>)>,
}

/// A watched directory that is set aside.
#[derive(Clone)]
struct Departure {
    node: NodeId,
    /// `None` if it was renamed onto, and may be on its way in an exchange.
    cookie: Option<u32>,
    /// The cookie of the rename onto it, or else its own.
    onto: u32,
    /// Who was renamed onto it, if that is known.
    by: Option<NodeId>,
    mask: Mask,
    dir: NodeId,
    name: Vec<u8>,
    /// The event of its first half has been given out.
    told: bool,
}

impl Departure {
    fn is_untold(&self) -> bool {
        self.cookie.is_some() && !self.told
    }
}

/// A record from below a directory that is set aside.
struct Held {
    wd: Wd,
    mask: Mask,
    cookie: u32,
    name: Vec<u8>,
}

impl Watches {
    /// Keeps a record back if it comes from below a directory that is set aside.
    pub(super) fn hold(&mut self, record: &Record<'_>, sink: Sink<'_>) -> bool {
        if self.moves.departures.is_empty() && self.in_doubt.is_empty() {
            // What was kept back comes first.
            self.replay(sink);
            return false;
        }
        let nodes: Vec<NodeId> = self.tree.by_wd(record.wd).collect();
        let ended = record.mask.any(Mask::DELETE_SELF.with(Mask::IGNORED));
        if let Some(at) =
            self.moves.departures.iter().position(|d| ended && d.cookie.is_none() && nodes.contains(&d.node))
        {
            let overwritten = self.take_departure(at);
            self.deleted(overwritten.node);
            self.replay(sink);
            return false;
        }
        let tops = || self.moves.departures.iter().map(|departure| departure.node).chain(self.in_doubt.iter().copied());
        let below = nodes.iter().any(|node| tops().any(|top| self.tree.is_below(*node, top)));
        // A directory's records stay in their order, whatever has become of it between two of them.
        let waits = below || self.moves.held.iter().any(|held| held.wd == record.wd);
        if waits {
            let Record { wd, mask, cookie, name } = *record;
            self.moves.held.push(Held { wd, mask, cookie, name: name.to_vec() });
        }
        waits
    }

    /// Whether records are kept back that may say something of a directory's path.
    pub(super) fn has_held_of(&self, node: NodeId) -> bool {
        let mut above = std::iter::successors(self.tree.parent(node), |node| self.tree.parent(*node));
        !self.moves.held.is_empty()
            && above.any(|above| self.moves.held.iter().any(|held| self.tree.wd(above) == Some(held.wd)))
    }

    /// What was kept back of a directory is of before a listing that is to come, and told by that.
    pub(super) fn forget_held(&mut self, wd: Wd) {
        self.moves.held.retain(|held| held.wd != wd);
    }

    pub(super) fn replay(&mut self, sink: Sink<'_>) {
        for held in std::mem::take(&mut self.moves.held) {
            let Held { wd, mask, cookie, ref name } = held;
            self.record(&Record { wd, mask, cookie, name }, sink);
        }
    }

    /// A file's rename: its first half is told at once, its second with the path that the first had.
    pub(super) fn file_renamed(&mut self, dir: NodeId, name: &[u8], record: &Record<'_>, sink: Sink<'_>) {
        let mut source = None;
        self.remember_halves(dir, name, record);
        if record.mask.any(Mask::MOVED_FROM) {
            self.keep_first_half(record.cookie, dir, name);
        } else {
            source = self.take_first_half(record.cookie);
        }
        self.deliver(dir, name, record.mask, source.as_deref(), false, sink);
    }

    fn keep_first_half(&mut self, cookie: u32, dir: NodeId, name: &[u8]) {
        if self.moves.first_halves.len() == MOST_HALVES {
            self.moves.first_halves.remove(0);
        }
        self.moves.first_halves.push((cookie, self.tree.path(dir, name)));
    }

    fn take_first_half(&mut self, cookie: u32) -> Option<Vec<u8>> {
        let at = self.moves.first_halves.iter().position(|(known, _)| *known == cookie)?;
        Some(self.moves.first_halves.remove(at).1)
    }

    /// The first half of a directory's rename.
    pub(super) fn directory_departs(&mut self, dir: NodeId, name: &[u8], record: &Record<'_>, sink: Sink<'_>) {
        self.remember_halves(dir, name, record);
        // The last of them: those before it were overwritten, and wait for their ends to be told.
        let exchanged = |d: &&mut Departure| {
            d.cookie.is_none() && d.dir == dir && d.name == name && is_just_before(d.onto, record.cookie)
        };
        if let Some(departure) = self.moves.departures.iter_mut().rfind(exchanged) {
            (departure.cookie, departure.mask) = (Some(record.cookie), record.mask);
            return;
        }
        match self.tree.child(dir, name) {
            Some(node) if self.tree.presence(node) == Presence::Here => {
                if self.recovering {
                    // Its place was to be looked at, and what has come there since may be among what was lost.
                    self.put_in_doubt(node);
                }
                self.deliver_departures_below(node, sink);
                self.set_aside(node, Some(record.cookie), record, (dir, None));
            }
            known => {
                self.keep_first_half(record.cookie, dir, name);
                self.deliver(dir, name, record.mask, None, false, sink);
                known.into_iter().for_each(|anchor| self.moved_out(anchor));
            }
        }
    }

    fn set_aside(
        &mut self,
        node: NodeId,
        cookie: Option<u32>,
        record: &Record<'_>,
        (dir, by): (NodeId, Option<NodeId>),
    ) {
        self.tree.lose(node, Presence::Aside);
        self.forget_doubt(node);
        self.moves.exchanged = self.moves.exchanged.filter(|(one, other)| *one != node && *other != node);
        // Its place in memory stays its own, even if it is lost with a directory above it.
        self.tree.set_flag(node, Flag::Departing, true);
        let (mask, name) = (if cookie.is_some() { record.mask } else { Mask::DELETE }, record.name.to_vec());
        self.moves.departures.push(Departure { node, cookie, onto: record.cookie, by, mask, dir, name, told: false });
        self.moves.give_up_at = None;
    }

    fn take_departure(&mut self, at: usize) -> Departure {
        let departure = self.moves.departures.remove(at);
        self.tree.set_flag(departure.node, Flag::Departing, false);
        departure
    }

    /// The second half of a directory's rename.
    pub(super) fn directory_arrives(&mut self, dir: NodeId, name: &[u8], record: &Record<'_>, sink: Sink<'_>) {
        self.remember_halves(dir, name, record);
        let first = self.moves.departures.iter().position(|d| d.cookie == Some(record.cookie));
        let departure = first.map(|at| self.take_departure(at));
        let occupant = self.tree.child(dir, name).filter(|node| self.tree.presence(*node) == Presence::Here);
        // A scan was faster, and has met the directory under its new name already: the scan's node is the true one.
        let known = occupant.and_then(|occupant| self.tree.certain_wd(occupant));
        let met = departure.as_ref().is_some_and(|d| known.is_some() && known == self.tree.wd(d.node));
        let awaited = occupant.map_or(Scan::None, |occupant| self.pending(occupant));
        if let Some(occupant) = occupant.filter(|_| !met) {
            self.deliver_departures_below(occupant, sink);
            self.set_aside(occupant, None, record, (dir, departure.as_ref().map(|departure| departure.node)));
        }
        let Some(departure) = departure else {
            let source = self.take_first_half(record.cookie);
            self.deliver(dir, name, record.mask, source.as_deref(), false, sink);
            self.directory_found(dir, name, Scan::Report);
            return;
        };
        let source = self.tree.path(departure.dir, &departure.name);
        if departure.onto != record.cookie {
            let other = self.tree.child(departure.dir, &departure.name).filter(|other| departure.by == Some(*other));
            self.moves.exchanged = other.map(|other| (departure.node, other));
        }
        self.deliver_departure(&departure, sink);
        self.deliver(dir, name, record.mask, Some(&source), false, sink);
        if met {
            self.tree.set_wd(departure.node, None);
            self.moved_out(departure.node);
        } else {
            self.settle_in(departure.node, dir, name);
            if awaited == Scan::Return && !self.tree.is_lost(departure.node) {
                // A listing has met it already, for those who are to learn what is there.
                self.want(departure.node, awaited);
            }
        }
        self.replay(sink);
    }

    /// A directory was renamed: its own record follows on both halves. If it was thought to be half of an exchange, and to
    /// have come to its place before, it was renamed onto the other, which is gone, and has now gone back: the halves of
    /// that look the same. A lost one has been renamed since, by halves that were not told of it.
    pub(super) fn was_renamed(&mut self, node: NodeId) {
        let Some((gone, _)) = self.moves.exchanged.take_if(|(one, other)| *one == node || *other == node) else {
            return;
        };
        if gone == node || self.tree.is_lost(node) {
            return;
        }
        if let Some(dir) = self.tree.parent(gone).filter(|_| self.tree.presence(gone) == Presence::Here) {
            let name = self.tree.name(gone).to_vec();
            self.deleted(gone);
            self.settle_in(node, dir, &name);
        }
    }

    /// Whether a directory's second half is waited for.
    pub(super) fn is_departing(&self, node: NodeId) -> bool {
        self.moves.departures.iter().any(|departure| departure.node == node && departure.cookie.is_some())
    }

    /// A scan has met a directory that was on its way: its second half came to where nobody watched yet.
    pub(super) fn has_arrived(&mut self, node: NodeId) {
        if let Some(at) = self.moves.departures.iter().position(|departure| departure.node == node) {
            let departure = self.take_departure(at);
            self.moves.arrived.push(departure);
        }
        self.moves.replay_is_due = true;
    }

    /// Tells what was kept back for directories that scans have met; to be called after [`Watches::watched`], as
    /// [`crate::engine::Engine::feed`] does.
    pub fn catch_up(&mut self, sink: Sink<'_>) {
        if std::mem::take(&mut self.moves.replay_is_due) {
            for departure in std::mem::take(&mut self.moves.arrived) {
                self.deliver_departure(&departure, sink);
            }
            self.replay(sink);
        }
    }

    /// It is certain that this directory has its name: what was set aside for it was not exchanged with it.
    pub(super) fn was_overwritten(&mut self, by: NodeId) {
        if self.moves.departures.is_empty() {
            return;
        }
        let (dir, name) = (self.tree.parent(by), self.tree.name(by));
        let is_it = |d: &Departure| d.cookie.is_none() && Some(d.dir) == dir && d.name == name;
        if let Some(at) = self.moves.departures.iter().position(is_it) {
            let overwritten = self.take_departure(at);
            self.gone_or_away(overwritten.node);
            self.moves.replay_is_due = true;
        }
    }

    /// A record says that a directory is gone.
    pub(super) fn gone_by_record(&mut self, node: NodeId) {
        if !self.is_kept_aside(node) {
            self.deleted(node);
        }
    }

    /// Another directory has the name of one that was set aside for it. If it was overwritten, its own end is on its way;
    /// if it had left before, by a rename that was taken for another's, it lives, and no record will ever tell.
    fn gone_or_away(&mut self, node: NodeId) {
        if !self.is_kept_aside(node) {
            self.gone_unseen(node);
        }
    }

    /// While lost events are looked for, what tells of a directory's end may be about one that nobody has seen, and the
    /// known one may be met elsewhere: it is kept until then.
    fn is_kept_aside(&mut self, node: NodeId) -> bool {
        let kept = self.recovering && !self.tree.is_met(node) && self.tree.certain_wd(node).is_some();
        if kept {
            self.tree.lose(node, Presence::Aside);
        }
        kept
    }

    /// Something else has this name now: that directories of this name went comes before what is to be told of it.
    pub(super) fn deliver_departure_from(&mut self, dir: NodeId, name: &[u8], sink: Sink<'_>) {
        self.deliver_departures(|_, departure| departure.dir == dir && departure.name == name, sink);
    }

    /// A directory is about to get another path: what went from below it, went from where that has been.
    fn deliver_departures_below(&mut self, top: NodeId, sink: Sink<'_>) {
        self.deliver_departures(|tree, departure| tree.is_below(departure.dir, top), sink);
    }

    fn deliver_departures(&mut self, which: impl Fn(&Tree, &Departure) -> bool, sink: Sink<'_>) {
        let mut untold = Vec::new();
        for departure in &mut self.moves.departures {
            if departure.is_untold() && which(&self.tree, departure) {
                untold.push(departure.clone());
                departure.told = true;
            }
        }
        untold.iter().for_each(|departure| self.deliver_departure(departure, sink));
    }

    /// Gives out the event of a first half, once. What lies below goes with it, and is told of when it is known where to.
    fn deliver_departure(&mut self, departure: &Departure, sink: Sink<'_>) {
        if departure.is_untold() {
            let Departure { mask, dir, ref name, .. } = *departure;
            let maps = (self.maps_of(dir, name), Vec::new());
            let event =
                Event { mask, dir, name, is_dir: true, below: false, maps: &[], source: None, from_scan: false };
            self.deliver_to(maps, event, sink);
        }
    }

    /// A directory was deleted. Its descriptor lives until IN_IGNORED: if the name was made again meanwhile, the
    /// descriptor may be the new directory's.
    pub(super) fn deleted(&mut self, node: NodeId) {
        self.forget_doubt(node);
        self.tree.lose(node, Presence::Deleted);
        self.aftermath.push(Aftermath::Lost(node, Mask::DELETE));
    }

    /// The queue has run empty: from now on patience with missing halves, and with what is not certain, is limited.
    pub fn queue_is_empty(&mut self, now: Tick) {
        if self.is_in_doubt() && self.moves.give_up_at.is_none() {
            self.moves.give_up_at = Some(Tick(now.0.saturating_add(PATIENCE + 1)));
        }
    }

    /// When [`Watches::give_up_waiting`] is due.
    pub fn deadline(&self) -> Option<Tick> {
        self.moves.give_up_at
    }

    /// What is still set aside went out of the watched part, or was overwritten.
    pub fn give_up_waiting(&mut self, sink: Sink<'_>) {
        self.moves.give_up_at = None;
        self.try_again();
        while !self.moves.departures.is_empty() {
            let departure = self.take_departure(0);
            if departure.cookie.is_some() {
                self.deliver_departure(&departure, sink);
                self.moved_out(departure.node);
            } else {
                self.gone_or_away(departure.node);
            }
        }
        self.replay(sink);
    }

    /// Events are lost: second halves may be among them. What is set aside stays so, until it is met or all else is.
    pub(super) fn drop_open_pairs(&mut self, sink: Sink<'_>) {
        self.moves.exchanged = None;
        self.moves.after_loss = MOST_HALVES;
        self.moves.give_up_at = None;
        while !self.moves.departures.is_empty() {
            let departure = self.take_departure(0);
            self.deliver_departure(&departure, sink);
            if self.tree.certain_wd(departure.node).is_none() {
                // Nothing can tell it when it is met.
                self.deleted(departure.node);
            }
            self.tree.release(departure.node);
        }
        self.replay(sink);
    }

    /// Whether second halves are waited for, or names.
    pub(super) fn has_open_pairs(&self) -> bool {
        self.has_departures() || !self.moves.names_later.is_empty()
    }

    /// Whether second halves are waited for.
    pub(super) fn has_departures(&self) -> bool {
        !self.moves.departures.is_empty()
    }

    /// How many first halves are kept.
    #[cfg(test)]
    pub fn first_halves(&self) -> usize {
        self.moves.first_halves.len()
    }
}
