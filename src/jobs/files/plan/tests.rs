//! Rules and paths into jobs: roots, destinations, what is refused; and their byte form.

use super::*;
use crate::engine::rule::Destination;
use crate::parts::pattern::Pattern;
use crate::parts::pattern::rewrite::Replacement;

fn rule(src: &str, dst: &str) -> Rule {
    let src = Pattern::new(src.as_bytes()).unwrap();
    let to = Replacement::new(&src, dst.as_bytes()).unwrap();
    let access = Access { filemode: Some(0o644), gid: Some(7), ..Access::default() };
    let destination = Destination { to, auto_create: true, replace: false, hardlinks: true, access };
    Rule { name: "r".to_owned(), src, action: Action::Move(destination) }
}

fn plan(src: &str, dst: &str, path: &str) -> Result<FileJob, String> {
    let roots = [b"/w".to_vec(), b"/w/deep".to_vec(), b"/".to_vec()];
    FileJob::new(&rule(src, dst), path.as_bytes(), &roots).unwrap()
}

fn place(root: &str, below: &str) -> Place {
    Place { root: root.into(), below: below.into() }
}

#[test]
fn roots_are_the_deepest_that_are_trusted() {
    for (dst, path, source, target) in [
        (r"/dst/\1", "/w/a/b", place("/w", "a/b"), place("/dst", "a/b")),
        (r"/dst/x-\1", "/w/deep/b", place("/w/deep", "b"), place("/dst", "x-deep/b")),
        (r"//dst//./x\1", "/w/deeper/b", place("/w", "deeper/b"), place("/dst", "xdeeper/b")),
        (r"\g<0>.done", "/w/deep/b", place("/w/deep", "b"), place("/w/deep", "b.done")),
        (r"/\1", "/w/a", place("/w", "a"), place("/", "a")),
    ] {
        match plan("^/w/(.*)$", dst, path) {
            Ok(job) => assert_eq!((job.source, job.target), (source, Some(target)), "{dst} {path}"),
            Err(why) => assert!(dst.contains("/./") && why.contains("has . or .."), "{dst} {path}: {why}"),
        }
    }
    // Without / among the roots, what a group makes of it must lie below the watch.
    let rule = rule("^(/.*)$", r"\1.x");
    let job = |path: &[u8]| FileJob::new(&rule, path, &[b"/w".to_vec()]).unwrap();
    assert_eq!(job(b"/w/a").unwrap().target, Some(place("/w", "a.x")));
    assert!(job(b"/w").unwrap_err().contains("below no path"));
    assert!(job(b"/wa/b").unwrap_err().contains("below no path"));
}

#[test]
fn what_cannot_be_is_refused() {
    for (src, dst, path, words) in [
        ("^/w/a$", r"\g<0>", "/w/a", "are the same"),
        ("^/w/a$", r"\g<0>/b", "/w/a", "lies in the source"),
        ("^/w/(d)/a$", r"/w/\1", "/w/d/a", "the source lies in the destination"),
        ("^/w/(.*)$", r"/dst/../\1", "/w/a", "has . or .."),
        ("^/w/(x)?.*$", r"\1", "/w/a", "the destination is empty"),
        ("^/(w)/(.*)$", r"\1/b", "/w/a", "no absolute path"),
    ] {
        let why = plan(src, dst, path).unwrap_err();
        assert!(why.contains(words), "{dst}: {why}");
    }
}

#[test]
fn a_job_comes_out_of_its_bytes_as_it_went_in() {
    let job = plan("^/w/(.*)$", r"/dst/\1", "/w/a\n\u{e9}").unwrap();
    assert_eq!(FileJob::decode(&job.encode()), Some(job.clone()));
    let delete = FileJob { verb: Verb::Delete { rec: true }, target: None, ..job };
    assert_eq!(FileJob::decode(&delete.encode()), Some(delete));
    assert_eq!(FileJob::decode(b"move\x00111"), None);
    assert_eq!(FileJob::decode(b""), None);
}
