/*
 * enosys PROGRAM [ARGUMENT]... - runs it, and all that it starts, as if on Linux 4.18: every system call that is newer gives
 * ENOSYS (seccomp(2)). rseq came last then; what has a higher number is newer, on all machines whose table this is compiled for.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "is rseq the last system call of Linux 4.18 here?"
#endif
#define OPENAT2 437

int main(int argc, char **argv) {
    struct sock_filter newer[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, __NR_rseq, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof newer / sizeof *newer, newer};
    if (argc < 2) {
        fputs("usage: enosys PROGRAM [ARGUMENT]...\n", stderr);
        return 2;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("enosys: install the filter");
        return 125;
    }
    /* It holds: where openat2 is there, its answer to no arguments is EFAULT or EINVAL. */
    if (syscall(OPENAT2, -1, NULL, NULL, 0) != -1 || errno != ENOSYS) {
        perror("enosys: openat2 is there all the same");
        return 125;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
