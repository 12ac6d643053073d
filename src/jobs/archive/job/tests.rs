use super::*;

fn values(path: &[u8]) -> Values<'_> {
    Values { maskname: "IN_CREATE", pathname: path, src_pathname: b"", task_id: 1, scheduler: "s", date: "D" }
}

fn job(to: &str, path: &str) -> Result<(String, String), String> {
    let archiving = Archiving { to: Template::new(to.as_bytes()), level: 6 };
    let job = Job::new(&archiving, &values(path.as_bytes()), &[b"/src".to_vec()])?;
    assert_eq!(Job::decode(&job.encode()), Some(job.clone()));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ok((text(job.target.path()), text(job.target.root)))
}

#[test]
fn an_archive_stands_below_the_literal_beginning_of_its_path() {
    let good = |path: &str, root: &str| Ok((path.to_owned(), root.to_owned()));
    assert_eq!(job("/backup/{name}-{date}.tar.gz", "/src/a/b"), good("/backup/b-D.tar.gz", "/backup"));
    assert_eq!(job("/backup/{dir}/{name}.tgz", "/src/a/b"), good("/backup/src/a/b.tgz", "/backup"));
    assert_eq!(job("/{name}", "/src/b"), good("/b", "/"));
    assert!(job("/backup/{name}", "/other/b").unwrap_err().contains("/other/b is below no path"));
    assert!(job("{name}", "/src/b").unwrap_err().contains("no absolute path"));
    assert!(job("/backup/../{name}", "/src/b").unwrap_err().contains("has . or .. in it"));
}

#[test]
fn a_number_stands_before_the_end() {
    for (name, wanted) in [
        ("a.tar.gz", "a_2.tar.gz"),
        ("a.tgz", "a_2.tgz"),
        ("a.tar", "a_2.tar"),
        ("a.b", "a.b_2"),
        (".tar.gz", "_2.tar.gz"),
    ] {
        assert_eq!(numbered(name.as_bytes(), 2), wanted.as_bytes());
    }
}
