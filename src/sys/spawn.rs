//! Starting programs by posix_spawn(3), and waiting for them.
//!
//! posix_spawn and not fork: with a large heap, fork would copy page tables for milliseconds. The child gets a process
//! group of its own, an empty signal mask, default dispositions, /dev/null as standard input and, unless another is given,
//! the parent's working directory, which between two turns of the loop is `/`. All of our descriptors are close-on-exec.

use super::process::Pid;
use super::signal::set_of;
use super::{Errno, gate};
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The running program's own file, also if another has its name by now (proc(5)).
const ITSELF: &CStr = c"/proc/self/exe";

/// A program with its arguments and its whole environment, as execve(2) takes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The file to run, if it is not the one that the first argument names: by a path, or in PATH if that has no slash.
    file: Option<&'static CStr>,
    /// Arguments.
    pub argv: Vec<CString>,
    /// `NAME=value` each.
    pub env: Vec<CString>,
}

impl Program {
    /// A program that is called by the name of its file.
    pub fn new(argv: Vec<CString>, env: Vec<CString>) -> Program {
        Program { file: None, argv, env }
    }

    /// The program that runs, started again; by its first two words it is told what for.
    pub fn itself(words: [String; 2], argv: Vec<CString>, env: Vec<CString>) -> Program {
        let words = words.into_iter().filter_map(|word| CString::new(word).ok());
        Program { file: Some(ITSELF), argv: words.chain(argv).collect(), env }
    }
}

/// What a child has for its standard output and standard error.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// Ours.
    Inherited,
    /// /dev/null.
    Null,
    /// This descriptor.
    To(BorrowedFd<'a>),
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// The shell's status for a command that it does not find.
pub const NOT_FOUND: i32 = 127;

/// The number that a descriptor has which a program is started with besides the standard three.
pub const CHANNEL: RawFd = 3;

/// Starts a program, in the directory `dir` if that is given. An error is the program's too: with glibc and musl, a failing
/// execve(2) is reported here.
pub fn spawn(program: &Program, output: Output<'_>, dir: Option<BorrowedFd<'_>>) -> Result<Pid, Errno> {
    let mut actions = Actions::new()?;
    for number in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        match output {
            Output::Inherited => {}
            Output::Null => actions.open_null(number, libc::O_WRONLY)?,
            Output::To(fd) => actions.copy(fd, number)?,
        }
    }
    if let Some(dir) = dir {
        actions.enter(dir)?;
    }
    start(program, actions, Leads::Group)
}

/// Starts a program that prints where we do, with `channel` as descriptor [`CHANNEL`].
pub fn spawn_with(program: &Program, channel: BorrowedFd<'_>) -> Result<Pid, Errno> {
    let mut actions = Actions::new()?;
    actions.copy(channel, CHANNEL)?;
    start(program, actions, Leads::Group)
}

/// Starts a program that is to outlive us: in a session of its own, without a terminal, and printing nowhere; with `channel` as
/// descriptor [`CHANNEL`].
pub fn detach(program: &Program, channel: BorrowedFd<'_>) -> Result<Pid, Errno> {
    let mut actions = Actions::new()?;
    for number in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        actions.open_null(number, libc::O_WRONLY)?;
    }
    actions.copy(channel, CHANNEL)?;
    start(program, actions, Leads::Session)
}

/// What a child is the leader of.
#[derive(Clone, Copy)]
enum Leads {
    Group,
    /// And so of its one group.
    Session,
}

fn start(program: &Program, mut actions: Actions, leads: Leads) -> Result<Pid, Errno> {
    let argv = pointers(&program.argv);
    let envp = pointers(&program.env);
    let file = program.file.or(program.argv.first().map(CString::as_c_str)).ok_or(Errno::EINVAL)?;
    let attributes = Attributes::new(leads)?;
    actions.open_null(libc::STDIN_FILENO, libc::O_RDONLY)?;
    let mut pid: libc::pid_t = 0;
    // SAFETY: argv and envp are NULL-terminated arrays of pointers to strings that `program` keeps alive; attributes
    // and actions are initialised and live.
    gate::direct("posix_spawn", || unsafe {
        libc::posix_spawnp(
            &raw mut pid,
            file.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
        )
    })?;
    Pid::new(pid).ok_or(Errno::ECHILD)
}

/// Whether this child has ended, and how; it is reaped then. ECHILD where there is no such child (any more).
pub fn reap(pid: Pid) -> Result<Option<Exit>, Errno> {
    wait4(pid, libc::WNOHANG)
}

/// Waits for a child's end.
pub fn wait(pid: Pid) -> Result<Option<Exit>, Errno> {
    wait4(pid, 0)
}

fn wait4(pid: Pid, options: libc::c_int) -> Result<Option<Exit>, Errno> {
    let mut status = 0;
    // SAFETY: writes into a live int.
    let found = gate::call("wait4", || unsafe { libc::waitpid(pid.raw(), &raw mut status, options) })?;
    Ok((found != 0).then(|| {
        if libc::WIFSIGNALED(status) {
            Exit::Signal(libc::WTERMSIG(status))
        } else {
            Exit::Code(libc::WEXITSTATUS(status))
        }
    }))
}

/// A child that has ended and waits to be reaped, whoever started it (waitid(2), WNOWAIT).
pub fn any_ended() -> Result<Option<Pid>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: writes into a live structure of the call's own type.
    match gate::call("waitid", || unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), how) }) {
        // SAFETY: all bytes were zeroed, which is a valid value of this struct, then the kernel filled it; if nobody has
        // ended, its pid is still 0.
        Ok(_) => Ok(Pid::new(unsafe { info.assume_init().si_pid() })),
        Err(Errno::ECHILD) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}

fn checked(result: libc::c_int) -> Result<(), Errno> {
    if result == 0 { Ok(()) } else { Err(Errno(result)) }
}

/// posix_spawnattr_t: own group or session, empty mask, default dispositions.
struct Attributes(Box<MaybeUninit<libc::posix_spawnattr_t>>);

impl Attributes {
    fn new(leads: Leads) -> Result<Attributes, Errno> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: init writes the structure, which nobody else has yet.
        checked(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        let mut attributes = Attributes(raw);
        let this = attributes.0.as_mut_ptr();
        // A session's leader has a group, and cannot have another (setpgid(2)).
        let own = match leads {
            Leads::Session => libc::c_int::from(libc::POSIX_SPAWN_SETSID),
            Leads::Group => libc::POSIX_SPAWN_SETPGROUP,
        };
        let flags = own | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let empty = set_of(&[]);
        let all: Vec<libc::c_int> =
            (1..=libc::SIGRTMAX()).filter(|n| *n != libc::SIGKILL && *n != libc::SIGSTOP).collect();
        let all = set_of(&all);
        // SAFETY: `this` is initialised.
        checked(unsafe { libc::posix_spawnattr_setflags(this, flags as libc::c_short) })?;
        // SAFETY: `this` is initialised; 0 asks for a group of the child's own.
        checked(unsafe { libc::posix_spawnattr_setpgroup(this, 0) })?;
        // SAFETY: `this` and the set are initialised.
        checked(unsafe { libc::posix_spawnattr_setsigmask(this, &raw const empty) })?;
        // SAFETY: `this` and the set are initialised.
        checked(unsafe { libc::posix_spawnattr_setsigdefault(this, &raw const all) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, and not used after this.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

/// posix_spawn_file_actions_t: what becomes of the standard descriptors, and of the working directory.
struct Actions(Box<MaybeUninit<libc::posix_spawn_file_actions_t>>);

impl Actions {
    fn new() -> Result<Actions, Errno> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: init writes the structure, which nobody else has yet.
        checked(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        Ok(Actions(raw))
    }

    fn open_null(&mut self, number: RawFd, how: libc::c_int) -> Result<(), Errno> {
        let (this, path) = (self.0.as_mut_ptr(), c"/dev/null".as_ptr());
        // SAFETY: `this` is initialised; the path is a constant.
        checked(unsafe { libc::posix_spawn_file_actions_addopen(this, number, path, how, 0) })
    }

    /// The copy is not close-on-exec (dup2(2)), nor is it if the number is the descriptor's own already (POSIX.1-2024; glibc
    /// and musl have long done so).
    fn copy(&mut self, fd: BorrowedFd<'_>, number: RawFd) -> Result<(), Errno> {
        // SAFETY: `this` is initialised; the descriptor is open until the child has been started.
        checked(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), fd.as_raw_fd(), number) })
    }

    /// The program's working directory (glibc 2.29, musl 1.1.24; posix_spawn_file_actions_addfchdir in POSIX.1-2024).
    fn enter(&mut self, dir: BorrowedFd<'_>) -> Result<(), Errno> {
        // SAFETY: `this` is initialised; the descriptor is open until the child has been started.
        checked(unsafe { libc::posix_spawn_file_actions_addfchdir_np(self.0.as_mut_ptr(), dir.as_raw_fd()) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, and not used after this.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}
