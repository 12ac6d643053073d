//! getrandom(2): secrets of this process, so that nobody can choose names whose hashes collide.

use super::{Errno, gate};

/// Eight random bytes. Before the kernel's pool is ready at early boot (EAGAIN), or on a kernel without the call, the
/// address-space layout has to do: it protects only against slow-downs.
pub fn seed() -> u64 {
    let mut bytes = [0_u8; 8];
    let result = gate::sized("getrandom", bytes.len(), |len| {
        // SAFETY: at most `len` <= 8 bytes are written into our array.
        let n = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), len, libc::GRND_NONBLOCK) };
        isize::try_from(n).unwrap_or(-1)
    });
    match result {
        Ok(8) => u64::from_ne_bytes(bytes),
        Ok(_) | Err(Errno(_)) => u64::from_ne_bytes(bytes) ^ (&raw const bytes).addr() as u64,
    }
}
