//! What each init system needs to run the daemon. The texts stand in `init/`, from where `make install INIT=NAME` copies the
//! same files to the same places.

/// An init system.
#[derive(Debug)]
pub struct Init {
    /// What `--init` calls it.
    pub name: &'static str,
    /// Its service files.
    pub entries: &'static [Entry],
    /// The line for the shell that has the service started with the system, where that is not the same as starting it.
    pub enable: Option<&'static str>,
    /// The line that starts the service.
    pub start: &'static str,
    /// The line that ends the service and undoes `enable`.
    pub disable: Option<&'static str>,
    /// The line that ends the service where there is none that undoes `enable`.
    pub stop: Option<&'static str>,
}

/// A file, a directory or a link, by its path below the root. What an entry stands in, which is dogwatch's own, stands
/// before it.
#[derive(Debug)]
pub struct Entry {
    /// Without a slash at its beginning.
    pub path: &'static str,
    /// What stands there.
    pub what: What,
}

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A directory.
    Directory,
    /// A file with this text and these permission bits.
    File(&'static str, u32),
    /// A symbolic link that holds this.
    Link(&'static str),
    /// Lines in a file that is there already; the rest of it is others'.
    Lines(&'static str),
}

const fn directory(path: &'static str) -> Entry {
    Entry { path, what: What::Directory }
}

const fn text(path: &'static str, text: &'static str) -> Entry {
    Entry { path, what: What::File(text, 0o644) }
}

const fn script(path: &'static str, text: &'static str) -> Entry {
    Entry { path, what: What::File(text, 0o755) }
}

/// The default configuration.
pub const CONFIGURATION: [Entry; 3] = [
    directory("etc/dogwatch"),
    directory("etc/dogwatch/conf.d"),
    text("etc/dogwatch/dogwatch.conf", include_str!("../../init/dogwatch.conf")),
];

/// Nothing more than files.
const PLAIN: Init = Init { name: "", entries: &[], enable: None, start: "", disable: None, stop: None };

/// All init systems that are known.
pub const INITS: [Init; 7] = [
    Init {
        name: "systemd",
        entries: &[text("etc/systemd/system/dogwatch.service", include_str!("../../init/systemd/dogwatch.service"))],
        enable: Some("systemctl enable dogwatch"),
        start: "systemctl start dogwatch",
        disable: Some("systemctl disable --now dogwatch"),
        ..PLAIN
    },
    Init {
        name: "openrc",
        entries: &[script("etc/init.d/dogwatch", include_str!("../../init/openrc/dogwatch"))],
        enable: Some("rc-update add dogwatch default"),
        start: "rc-service dogwatch start",
        disable: Some("rc-service --ifstarted dogwatch stop && { rc-update --all delete dogwatch || true; }"),
        ..PLAIN
    },
    Init {
        name: "sysvinit",
        entries: &[script("etc/init.d/dogwatch", include_str!("../../init/sysvinit/dogwatch"))],
        enable: Some(
            "if command -v update-rc.d >/dev/null; then update-rc.d dogwatch defaults; else chkconfig --add dogwatch; fi",
        ),
        start: "/etc/init.d/dogwatch start",
        disable: Some(
            "/etc/init.d/dogwatch stop && \
             if command -v update-rc.d >/dev/null; then update-rc.d -f dogwatch remove; else chkconfig --del dogwatch; fi",
        ),
        ..PLAIN
    },
    Init {
        name: "runit",
        entries: &[
            directory("etc/sv/dogwatch"),
            script("etc/sv/dogwatch/run", include_str!("../../init/runit/run")),
            // What runsv writes: /etc may be read-only, and is to be empty of it after uninstall.
            Entry { path: "etc/sv/dogwatch/supervise", what: What::Link("/run/dogwatch.supervise") },
        ],
        start: "ln -s /etc/sv/dogwatch /etc/service/    # or where runsvdir looks on this system",
        stop: Some("rm /etc/service/dogwatch    # runsvdir sees that within five seconds"),
        ..PLAIN
    },
    Init {
        name: "s6",
        entries: &[
            directory("etc/s6/sv/dogwatch"),
            script("etc/s6/sv/dogwatch/run", include_str!("../../init/s6/run")),
            text("etc/s6/sv/dogwatch/notification-fd", include_str!("../../init/s6/notification-fd")),
            // For s6-rc, of which this is a source directory; others do not look at it.
            text("etc/s6/sv/dogwatch/type", include_str!("../../init/s6/type")),
        ],
        start: "cp -a /etc/s6/sv/dogwatch /run/service/ && s6-svscanctl -a /run/service    # or where s6-svscan looks here",
        stop: Some("s6-svc -wD -dx /run/service/dogwatch; rm -r /run/service/dogwatch"),
        ..PLAIN
    },
    Init {
        name: "dinit",
        entries: &[text("etc/dinit.d/dogwatch", include_str!("../../init/dinit/dogwatch"))],
        start: "dinitctl enable dogwatch",
        // It may have been started without being enabled.
        disable: Some("dinitctl disable dogwatch; dinitctl stop dogwatch && dinitctl unload dogwatch"),
        ..PLAIN
    },
    Init {
        name: "busybox",
        entries: &[Entry { path: "etc/inittab", what: What::Lines(include_str!("../../init/busybox/inittab")) }],
        start: "kill -HUP 1",
        // A second signal would have it end at once.
        stop: Some("kill -HUP 1    # if this BusyBox does not end it then: kill $(cat /run/dogwatch/dogwatch.pid)"),
        ..PLAIN
    },
];
