//! What the kernel limits for a process, by the names that users write.

/// A resource of setrlimit(2), by the name that systemd and Compose use without `LIMIT_`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// RLIMIT_AS, bytes.
    As,
    /// RLIMIT_CORE, bytes.
    Core,
    /// RLIMIT_CPU, seconds.
    Cpu,
    /// RLIMIT_DATA, bytes.
    Data,
    /// RLIMIT_FSIZE, bytes.
    Fsize,
    /// RLIMIT_MEMLOCK, bytes.
    Memlock,
    /// RLIMIT_NOFILE, descriptors.
    Nofile,
    /// RLIMIT_NPROC, processes of the user.
    Nproc,
    /// RLIMIT_RTPRIO.
    Rtprio,
    /// RLIMIT_STACK, bytes.
    Stack,
}

/// A limit's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// At most this much.
    At(u64),
    /// `"unlimited"`.
    Unlimited,
}
