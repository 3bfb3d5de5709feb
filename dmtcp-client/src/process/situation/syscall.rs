//! Names of the system calls in which processes wait. Only those: a number without a name here is
//! shown as a number.

/// The name of a call on the machine that this was built for.
pub(super) fn name(number: u64) -> Option<&'static str> {
    let table = if cfg!(target_arch = "x86_64") {
        X86_64
    } else if cfg!(any(target_arch = "aarch64", target_arch = "riscv64")) {
        GENERIC
    } else {
        &[]
    };
    find(table, number)
}

fn find(table: &[(u64, &'static str)], number: u64) -> Option<&'static str> {
    let at = table.iter().find(|(known, _)| *known == number);
    at.map(|(_, name)| *name)
}

/// Calls whose first argument is the descriptor that is waited for.
pub(super) fn reads_descriptor(name: &str) -> bool {
    matches!(
        name,
        "read" | "readv" | "recvfrom" | "recvmsg" | "recvmmsg" | "pread64" | "preadv"
    )
}

const X86_64: &[(u64, &str)] = &[
    (0, "read"),
    (1, "write"),
    (2, "open"),
    (3, "close"),
    (5, "fstat"),
    (7, "poll"),
    (9, "mmap"),
    (10, "mprotect"),
    (11, "munmap"),
    (12, "brk"),
    (16, "ioctl"),
    (17, "pread64"),
    (18, "pwrite64"),
    (19, "readv"),
    (20, "writev"),
    (23, "select"),
    (24, "sched_yield"),
    (28, "madvise"),
    (34, "pause"),
    (35, "nanosleep"),
    (42, "connect"),
    (43, "accept"),
    (44, "sendto"),
    (45, "recvfrom"),
    (46, "sendmsg"),
    (47, "recvmsg"),
    (56, "clone"),
    (57, "fork"),
    (58, "vfork"),
    (59, "execve"),
    (61, "wait4"),
    (65, "semop"),
    (70, "msgrcv"),
    (72, "fcntl"),
    (73, "flock"),
    (74, "fsync"),
    (75, "fdatasync"),
    (77, "ftruncate"),
    (82, "rename"),
    (87, "unlink"),
    (128, "rt_sigtimedwait"),
    (130, "rt_sigsuspend"),
    (162, "sync"),
    (202, "futex"),
    (219, "restart_syscall"),
    (220, "semtimedop"),
    (230, "clock_nanosleep"),
    (232, "epoll_wait"),
    (247, "waitid"),
    (257, "openat"),
    (262, "newfstatat"),
    (263, "unlinkat"),
    (264, "renameat"),
    (270, "pselect6"),
    (271, "ppoll"),
    (275, "splice"),
    (281, "epoll_pwait"),
    (285, "fallocate"),
    (288, "accept4"),
    (299, "recvmmsg"),
    (306, "syncfs"),
    (316, "renameat2"),
    (322, "execveat"),
    (326, "copy_file_range"),
    (425, "io_uring_setup"),
    (426, "io_uring_enter"),
    (435, "clone3"),
    (441, "epoll_pwait2"),
    (449, "futex_waitv"),
];

/// Of architectures that share one table, aarch64 among them.
const GENERIC: &[(u64, &str)] = &[
    (20, "epoll_create1"),
    (22, "epoll_pwait"),
    (25, "fcntl"),
    (29, "ioctl"),
    (32, "flock"),
    (35, "unlinkat"),
    (38, "renameat"),
    (46, "ftruncate"),
    (47, "fallocate"),
    (56, "openat"),
    (57, "close"),
    (63, "read"),
    (64, "write"),
    (65, "readv"),
    (66, "writev"),
    (67, "pread64"),
    (68, "pwrite64"),
    (72, "pselect6"),
    (73, "ppoll"),
    (76, "splice"),
    (79, "newfstatat"),
    (80, "fstat"),
    (81, "sync"),
    (82, "fsync"),
    (83, "fdatasync"),
    (95, "waitid"),
    (98, "futex"),
    (101, "nanosleep"),
    (115, "clock_nanosleep"),
    (124, "sched_yield"),
    (128, "restart_syscall"),
    (133, "rt_sigsuspend"),
    (137, "rt_sigtimedwait"),
    (188, "msgrcv"),
    (192, "semtimedop"),
    (193, "semop"),
    (202, "accept"),
    (203, "connect"),
    (206, "sendto"),
    (207, "recvfrom"),
    (211, "sendmsg"),
    (212, "recvmsg"),
    (214, "brk"),
    (215, "munmap"),
    (220, "clone"),
    (221, "execve"),
    (222, "mmap"),
    (226, "mprotect"),
    (233, "madvise"),
    (242, "accept4"),
    (243, "recvmmsg"),
    (260, "wait4"),
    (267, "syncfs"),
    (276, "renameat2"),
    (281, "execveat"),
    (285, "copy_file_range"),
    (425, "io_uring_setup"),
    (426, "io_uring_enter"),
    (435, "clone3"),
    (441, "epoll_pwait2"),
    (449, "futex_waitv"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_has_two_names() {
        for table in [X86_64, GENERIC] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert_eq!(find(table, 9999), None);
        }
        assert_eq!(find(X86_64, 202), Some("futex"));
        assert_eq!(find(GENERIC, 98), Some("futex"));
    }
}
