//! `s6-softlimit`: soft limits of resources, at most the hard ones.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::call::{Call, Outcome, Stop, number};

const USAGE: &str = "s6-softlimit [ -a allbytes ] [ -c corebytes ] [ -d databytes ] \
    [ -f filebytes ] [ -l lockbytes ] [ -m membytes ] [ -o openfiles ] [ -p processes ] \
    [ -r residentbytes ] [ -s stackbytes ] [ -t cpusecs ] prog...";

/// `s6-softlimit [-acdflmoprst VALUE]… PROG…`; `=` is the hard limit.
pub(super) fn softlimit(mut call: Call) -> Outcome {
    for (option, value) in call
        .options("a:c:d:f:l:m:o:p:r:s:t:")
        .map_err(|_| Stop::usage(USAGE))?
    {
        for resource in resources(option) {
            limit(*resource, &value)?;
        }
    }
    if call.args.is_empty() {
        return Err(Stop::usage(USAGE));
    }
    Ok(call.go_on())
}

fn resources(option: char) -> &'static [Resource] {
    match option {
        'a' => &[Resource::RLIMIT_AS],
        'c' => &[Resource::RLIMIT_CORE],
        'd' => &[Resource::RLIMIT_DATA],
        'f' => &[Resource::RLIMIT_FSIZE],
        'l' => &[Resource::RLIMIT_MEMLOCK],
        'm' => &[
            Resource::RLIMIT_DATA,
            Resource::RLIMIT_STACK,
            Resource::RLIMIT_MEMLOCK,
            Resource::RLIMIT_AS,
        ],
        'o' => &[Resource::RLIMIT_NOFILE],
        'p' => &[Resource::RLIMIT_NPROC],
        'r' => &[Resource::RLIMIT_RSS],
        's' => &[Resource::RLIMIT_STACK],
        _ => &[Resource::RLIMIT_CPU],
    }
}

fn limit(resource: Resource, value: &[u8]) -> Result<(), Stop> {
    let (_, hard) = getrlimit(resource).map_err(|errno| Stop::unable("getrlimit", errno))?;
    let soft = match value {
        b"=" => hard,
        told => number::<u64>(told)
            .ok_or_else(|| Stop::usage(USAGE))?
            .min(hard),
    };
    setrlimit(resource, soft, hard).map_err(|errno| Stop::unable("setrlimit", errno))
}
