//! The scanner, as `daemon/scan.rs` has it: other programs go on between any two of its system calls.

use super::*;

#[derive(Clone)]
pub struct Listing {
    node: NodeId,
    scan: Scan,
    wd: Option<Wd>,
    pub inode: usize,
    /// The last name that was given out.
    last: String,
    /// A name that comes next even if it is gone by then, as in ext4 where a signal has come in between.
    kept: Option<(String, usize)>,
    /// The queue may have been read since it began.
    pub goes_on: bool,
}

/// Why a directory could not be scanned; as the scanner's.
enum Miss {
    At(NodeId, Errno),
    Stranger,
}

impl World {
    pub fn scan(&mut self, steps: usize) -> bool {
        let busy = self.scan_for_a_slice(steps);
        self.tell_of_leaves();
        busy
    }

    fn scan_for_a_slice(&mut self, steps: usize) -> bool {
        for step in 0..steps {
            self.point();
            if self.listing.is_some() {
                self.list_on();
                if self.listing.as_ref().is_some_and(|listing| listing.kept.is_some()) {
                    self.is_stopped();
                    return true;
                }
            } else if let Some((dir, name)) = self.engine.watches.next_name_in_doubt() {
                match self.look_at(dir, &name) {
                    Err(Miss::Stranger) => self.engine.watches.name_put_off(dir, name),
                    Err(Miss::At(at, errno)) => self.engine.watches.name_out_of_reach((dir, name), errno, at),
                    Ok(()) => {}
                }
            } else if let Some((node, scan)) = self.engine.watches.next_scan() {
                if let Err(Miss::At(at, errno)) = self.begin(node, scan) {
                    self.point();
                    let in_sync = self.disk.queue.is_empty();
                    self.story.push(format!("{scan:?} {} fails: {errno:?}, in sync: {in_sync}", self.path(node)));
                    self.engine.feed(Tick(self.now), |watches, _| watches.failed(node, scan, errno, at, in_sync));
                }
            } else {
                return step > 0;
            }
            self.tell();
        }
        true
    }

    fn path(&self, node: NodeId) -> String {
        String::from_utf8(self.engine.watches.tree().path(node, b"")).unwrap()
    }

    /// What `Scanner::look_at` does.
    fn look_at(&mut self, dir: NodeId, name: &[u8]) -> Result<(), Miss> {
        self.open_way((dir, Scan::Watch), dir)?;
        self.point();
        let text = String::from_utf8(name.to_vec()).unwrap();
        self.story.push(format!("looks at {} {text}", self.path(dir)));
        let at = self.way.last().map_or(0, |(_, at)| *at);
        if let Some(inode) = self.disk.child(at, &text) {
            let is_dir = self.disk.is_dir(inode);
            self.engine.feed(Tick(self.now), |watches, sink| watches.name_found(dir, name, is_dir, sink));
        }
        Ok(())
    }

    /// What `Scanner::open_way` does.
    fn open_way(&mut self, wanted: (NodeId, Scan), parent: NodeId) -> Result<(), Miss> {
        let mut missing = Vec::new();
        let mut next = Some(parent);
        while let Some(node) = next {
            if let Some(at) = self.way.iter().rposition(|(known, _)| *known == node) {
                self.way.truncate(at + 1);
                break;
            }
            missing.push(node);
            next = self.engine.watches.tree().parent(node);
        }
        if next.is_none() {
            self.way.clear();
        }
        while let Some(node) = missing.pop() {
            self.step(node)?;
            let known = self.engine.watches.tree().certain_wd(node);
            if let Some(known) = known {
                self.point();
                let met = self.disk.watch(self.way.last().unwrap().1, self.engine.watches.mask(node), false);
                if met != known {
                    self.way.pop();
                    self.story.push(format!("{:?}: a stranger {} instead of {}", wanted.1, met.0, known.0));
                    self.engine.watches.met_a_stranger(node, met, wanted);
                    return Err(Miss::Stranger);
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, node: NodeId) -> Result<(), Miss> {
        self.point();
        let name = String::from_utf8(self.engine.watches.tree().name(node).to_vec()).unwrap();
        let found = match self.way.last() {
            Some((_, parent)) if node != ROOT => self.directory(*parent, &name),
            _ => Ok(0),
        };
        let found = found.map_err(|errno| Miss::At(node, errno))?;
        self.disk.held.insert(found);
        self.way.push((node, found));
        Ok(())
    }

    fn directory(&self, at: usize, name: &str) -> Result<usize, Errno> {
        let found = self.disk.child(at, name).ok_or(Errno::ENOENT)?;
        if self.disk.is_dir(found) { Ok(found) } else { Err(Errno::ENOTDIR) }
    }

    /// What `Scanner::begin` does.
    fn begin(&mut self, node: NodeId, scan: Scan) -> Result<(), Miss> {
        let watches = &self.engine.watches;
        let by_name = node != ROOT && !watches.follows_links(node) && !watches.reports_files(node, scan);
        if by_name && self.watch_from_parent(node, scan)? {
            return Ok(());
        }
        match self.engine.watches.tree().parent(node) {
            Some(parent) => self.open_way((node, scan), parent)?,
            None => self.way.clear(),
        }
        self.step(node)?;
        self.point();
        let inode = self.way.last().unwrap().1;
        let (mask, may_narrow) = (self.engine.watches.mask(node), self.engine.watches.may_narrow(node));
        let wd = self.disk.watch(inode, mask, may_narrow);
        self.point();
        let in_sync = self.disk.queue.is_empty();
        match self.watched(node, wd, scan, in_sync) {
            Some(node) => {
                self.way.last_mut().unwrap().0 = node;
                let wd = self.engine.watches.tree().wd(node);
                if scan != Scan::Watch {
                    let (last, kept, goes_on) = (String::new(), None, false);
                    self.listing = Some(Listing { node, scan, wd, inode, last, kept, goes_on });
                    self.engine.watches.begins_to_list(node, scan);
                }
                if scan >= Scan::Return {
                    self.look_for_files_of_tasks(node, inode);
                }
            }
            None => drop(self.way.pop()),
        }
        Ok(())
    }

    fn watch_from_parent(&mut self, node: NodeId, scan: Scan) -> Result<bool, Miss> {
        let Some(parent) = self.engine.watches.tree().parent(node) else { return Ok(false) };
        self.open_way((node, scan), parent)?;
        self.point();
        let at = self.way.last().unwrap().1;
        let name = String::from_utf8(self.engine.watches.tree().name(node).to_vec()).unwrap();
        let found = self.directory(at, &name).map_err(|errno| Miss::At(node, errno))?;
        let (mask, may_narrow) = (self.engine.watches.mask(node), self.engine.watches.may_narrow(node));
        let wd = self.disk.watch(found, mask, may_narrow);
        if scan != Scan::Watch {
            self.point();
            let found = self.disk.child(at, &name).ok_or(Miss::At(node, Errno::ENOENT))?;
            let names = self.disk.inodes[found].names.as_ref();
            if names.is_none_or(|names| names.values().any(|inode| self.disk.is_dir(*inode))) {
                return Ok(false);
            }
        }
        self.leaves.push((node, wd, scan));
        Ok(true)
    }

    /// What `Scanner::tell_of_leaves` does: others are told of before, and the queue is asked once.
    fn tell_of_leaves(&mut self) {
        self.point();
        let in_sync = self.disk.queue.is_empty();
        for (node, wd, scan) in std::mem::take(&mut self.leaves) {
            self.watched(node, wd, scan, in_sync);
        }
    }

    fn watched(&mut self, node: NodeId, wd: Wd, scan: Scan, in_sync: bool) -> Option<NodeId> {
        let bound = self.engine.feed(Tick(self.now), |watches, _| watches.watched(node, wd, scan, in_sync));
        let (path, wd) = (self.path(node), wd.0);
        self.story.push(format!("{scan:?} {path} node {} meets {wd}, in sync: {in_sync}, bound: {bound:?}", node.0));
        bound
    }

    /// What `Scanner::list_on` does.
    fn list_on(&mut self) {
        let Some(mut listing) = self.listing.take() else { return };
        let Listing { node, scan, wd, inode, .. } = listing;
        let tree = self.engine.watches.tree();
        let names = self.disk.inodes[inode].names.clone().unwrap();
        let kept = listing.kept.take();
        let is_kept = |name: &String| kept.as_ref().is_some_and(|(kept, _)| kept == name);
        let mut rest: Vec<(String, usize)> =
            names.into_iter().filter(|(name, _)| *name > listing.last && !is_kept(name)).collect();
        rest.splice(0..0, kept);
        if tree.wd(node) != wd || tree.is_lost(node) {
            self.story.push("what was listed is gone".to_owned());
        } else if !rest.is_empty() {
            let some = if self.rng.bool() { rest.len() } else { self.rng.usize(1..=rest.len()) };
            listing.kept = rest.get(some).filter(|_| self.rng.bool()).cloned();
            for (name, listed) in rest.into_iter().take(some) {
                self.point();
                let now = self.disk.child(inode, &name);
                let Some(at) = (if listing.goes_on { now } else { Some(listed) }) else { continue };
                let kind = if self.disk.is_dir(at) { Kind::Directory } else { Kind::File };
                let written_to = now.is_some_and(|now| self.disk.inodes[now].open);
                let is_recent = |reloads: &Reloads| scan != Scan::Return || reloads.is_recent(at);
                let recent = self.reloads.as_ref().is_none_or(is_recent);
                let found = Found { name: name.as_bytes(), kind, written_to, recent };
                self.engine.feed(Tick(self.now), |watches, sink| watches.entry(node, scan, found, sink));
                listing.last = listing.last.max(name);
            }
            self.listing = Some(listing);
            return;
        }
        self.engine.watches.listed();
    }

    /// What `Daemon::look_for_files_of_tasks` does.
    fn look_for_files_of_tasks(&mut self, node: NodeId, inode: usize) {
        for (name, is_dir) in self.engine.tasks().names_at(self.engine.watches.tree(), node) {
            self.point();
            let there = self.disk.child(inode, std::str::from_utf8(&name).unwrap());
            if there.is_none_or(|inode| self.disk.is_dir(inode) != is_dir) {
                self.engine.feed(Tick(self.now), |watches, sink| watches.vanished(node, &name, is_dir, sink));
            }
        }
    }
}
