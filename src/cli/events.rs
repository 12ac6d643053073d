//! `dogwatch events`: prints events as they come; and `dogwatch list-events`: what there is.

use super::{Usage, out, shown, watching};
use crate::daemon::{End, Printer, Wanted, Wishes};
use crate::engine::watch::events::{self, EVENTS};
use crate::parts::duration;
use crate::parts::template::{Template, braces};
use crate::parts::text::to_bytes;
use crate::sys::inotify::Mask;
use std::process::ExitCode;

/// What is printed unless `-e` says otherwise: whatever changes something. Mere reading does not, and listing a new
/// directory, as dogwatch itself does, is reading.
const USUAL: Mask = Mask::MODIFY
    .with(Mask::ATTRIB)
    .with(Mask::CLOSE_WRITE)
    .with(Mask::MOVED_FROM)
    .with(Mask::MOVED_TO)
    .with(Mask::CREATE)
    .with(Mask::DELETE)
    .with(Mask::DELETE_SELF)
    .with(Mask::MOVE_SELF)
    .with(Mask::UNMOUNT)
    .with(Mask::Q_OVERFLOW);
const FORMAT: &str = "{maskname} {pathname}";

/// The command `events`.
pub fn run(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Prints what happens to the paths, an event a line, until Ctrl-C. Names are\n\
                 escaped, so that a line is always one event.";
    let mut usage = Usage::new("dogwatch events [OPTION]... PATH...", about);
    watching::options(&mut usage);
    usage.options.optopt("f", "format", &format!("the form of a line (default: {FORMAT})"), "FORMAT");
    usage.options.optflag("0", "null", "names as they are, and a NUL byte after each event");
    usage.options.optopt("t", "timeout", "end when there was no event for so long", "SECONDS");
    usage.options.optopt("n", "count", "end after so many events", "COUNT");
    let matches = usage.parse(words, usize::MAX)?;
    if matches.free.is_empty() {
        return Err(usage.wrong("there is no PATH to watch"));
    }
    let number = |text: String| text.parse::<u64>().ok().filter(|count| *count > 0).ok_or(text);
    let bad = |option: &str, text: &str, right: &str| usage.wrong(&format!("{option} {}: {right}", shown(text)));
    let patience = matches.opt_str("timeout").map(|text| duration::parse(&text).ok_or(text)).transpose();
    let patience = patience.map_err(|text| bad("-t", &text, "it takes seconds, or a duration such as 500ms or 2m"))?;
    let count = matches.opt_str("count").map(number).transpose();
    let count = count.map_err(|text| bad("-n", &text, "it takes a number from 1 on"))?;
    let asked_for = watching::asked_for(&matches, USUAL);
    let draft = watching::draft(&matches, &asked_for, "none", &matches.free)?;
    let format = to_bytes(matches.opt_str("format").as_deref().unwrap_or(FORMAT));
    for near in braces(&format).iter().filter_map(|brace| brace.near) {
        out::complain(&format!("dogwatch: warning: a word in braces is no placeholder: did you mean {{{near}}}?\n"));
    }
    let wanted = Wanted {
        events: asked_for.iter().filter_map(|word| events::by_name(word)).fold(Mask::default(), Mask::with),
        format: Template::new(&format),
        raw: matches.opt_present("null"),
        count,
        patience,
    };
    match watching::serve(draft, Wishes { printer: Some(Printer::new(wanted)), ..Wishes::default() })? {
        End::TimedOut if count.is_some() => Err(ExitCode::FAILURE),
        End::Orderly | End::TimedOut | End::Command(_) => Ok(ExitCode::SUCCESS),
        End::Hasty => Err(ExitCode::FAILURE),
    }
}

/// The command `list-events`.
pub fn list(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    Usage::new("dogwatch list-events", "Shows the events: name, bit, meaning.").parse(words, 0)?;
    let lines = EVENTS.iter().map(|event| format!("{:<17}{:#06x}  {}\n", event.name, event.bit.0, event.meaning));
    out::print(&lines.collect::<String>()).map(|()| ExitCode::SUCCESS)
}
