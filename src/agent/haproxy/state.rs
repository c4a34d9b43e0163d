//! What haproxy says of itself: `show servers state` and `show info`, read by their own headers,
//! with a bound. Pure.

use std::net::{IpAddr, SocketAddr};

/// More servers than this are not looked at: a hundred times what one backend has.
const SERVERS_MAX: usize = 10_000;
/// The administrator has put it in maintenance (`SRV_ADMF_FMAINT`).
const FORCED_MAINT: u32 = 0x01;
/// The administrator has told it to drain (`SRV_ADMF_FDRAIN`).
const FORCED_DRAIN: u32 = 0x08;

/// A server as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actual {
    /// Unique in its backend.
    pub name: String,
    /// Where it is; `None`: nowhere yet, its name has not been resolved.
    pub address: Option<SocketAddr>,
    /// In maintenance or draining, by an administrator's word.
    pub is_out: bool,
}

/// Reads the answer to `show servers state BACKEND`.
///
/// # Errors
/// What haproxy said instead, or what is missing in it.
pub fn servers(answer: &str, backend: &str) -> Result<Vec<Actual>, String> {
    let mut lines = answer.lines().skip_while(|line| line.trim().is_empty());
    if lines.next() != Some("1") {
        return Err(first_line(answer));
    }
    let header = lines.next().and_then(|line| line.strip_prefix("# "));
    let columns: Vec<&str> = header.unwrap_or_default().split(' ').collect();
    let column = |name: &str| {
        let at = columns.iter().position(|column| *column == name);
        at.ok_or_else(|| format!("`show servers state` has no column `{name}`"))
    };
    let (of, name) = (column("be_name")?, column("srv_name")?);
    let (ip, port) = (column("srv_addr")?, column("srv_port")?);
    let admin = column("srv_admin_state")?;
    let mut found = Vec::new();
    for line in lines.take(SERVERS_MAX) {
        let cells: Vec<&str> = line.split(' ').collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        if cell(of) != backend {
            continue;
        }
        let state: u32 = cell(admin)
            .parse()
            .map_err(|_| format!("cannot read `{line}`"))?;
        let address = cell(ip).parse::<IpAddr>().ok();
        let address = address.zip(cell(port).parse().ok());
        found.push(Actual {
            name: cell(name).to_owned(),
            address: address.map(|(ip, port)| SocketAddr::new(ip, port)),
            is_out: state & (FORCED_MAINT | FORCED_DRAIN) != 0,
        });
    }
    Ok(found)
}

/// Whether any of these servers still has a request, by the answer to `show stat BACKEND 4 -1`:
/// one that it works on (`scur`) or that waits for it (`qcur`).
///
/// # Errors
/// What haproxy said instead.
pub fn is_busy(answer: &str, names: &[String]) -> Result<bool, String> {
    let mut lines = answer.lines().skip_while(|line| line.trim().is_empty());
    let header = lines.next().and_then(|line| line.strip_prefix("# "));
    let columns: Vec<&str> = header.unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        let at = columns.iter().position(|column| *column == name);
        at.ok_or_else(|| first_line(answer))
    };
    let (server, queued, current) = (column("svname")?, column("qcur")?, column("scur")?);
    Ok(lines.take(SERVERS_MAX).any(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        let has = |at: usize| !matches!(cell(at), "0" | "");
        (has(queued) || has(current)) && names.iter().any(|name| name == cell(server))
    }))
}

/// The worker that answered `show info`.
pub fn worker(answer: &str) -> Option<u32> {
    let line = answer.lines().find_map(|line| line.strip_prefix("Pid: "));
    line.and_then(|pid| pid.trim().parse().ok())
}

/// The first line of an answer, for a person.
pub fn first_line(answer: &str) -> String {
    let line = answer.lines().map(str::trim).find(|line| !line.is_empty());
    let line: String = line.unwrap_or("nothing").chars().take(200).collect();
    line.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
                        srv_uweight srv_fqdn srv_port\n";

    #[test]
    fn the_answer_of_2_6_is_read_by_its_header() {
        let answer = format!(
            "{HEAD}3 nodes 1 s1 127.0.0.1 2 0 1 - 13001\n3 nodes 2 s2 ::1 0 1 1 - 13002\n\
             3 nodes 3 s3 - 0 40 1 a.b 80\n4 other 1 x 10.0.0.1 2 0 1 - 80\n\n"
        );
        let found = servers(&answer, "nodes").unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].address, "127.0.0.1:13001".parse().ok());
        assert!(!found[0].is_out && found[1].is_out && found[2].is_out);
        assert_eq!(found[2].address, None);
    }

    #[test]
    fn anything_else_is_told() {
        let told = |answer: &str| servers(answer, "nodes").unwrap_err();
        assert_eq!(told("Can't find backend.\n\n"), "Can't find backend");
        assert_eq!(told(""), "nothing");
        assert_eq!(told("2\n# a b\n"), "2");
        assert_eq!(
            told("1\n# be_id\n"),
            "`show servers state` has no column `be_name`"
        );
        assert_eq!(
            told(&format!("{HEAD}3 nodes 1 s1 127.0.0.1 2 x 1 - 1")),
            "cannot read `3 nodes 1 s1 127.0.0.1 2 x 1 - 1`"
        );
        assert_eq!(servers(HEAD, "nodes"), Ok(vec![]));
        let huge = format!(
            "{HEAD}{}",
            "3 nodes 1 s1 127.0.0.1 2 0 1 - 1\n".repeat(20_000)
        );
        assert_eq!(servers(&huge, "nodes").unwrap().len(), SERVERS_MAX);
    }

    #[test]
    fn a_server_is_busy_while_it_has_a_request() {
        let answer = "# pxname,svname,qcur,qmax,scur,smax,\nnodes,s1,0,0,2,5,\n\
                      nodes,s2,0,0,0,5,\nnodes,s3,1,0,0,5,\nnodes,s4,,,,\n\n";
        let busy = |name: &str| is_busy(answer, &[name.to_owned()]);
        assert_eq!((busy("s1"), busy("s3")), (Ok(true), Ok(true)));
        assert_eq!((busy("s2"), busy("s4")), (Ok(false), Ok(false)));
        assert_eq!(busy("gone"), Ok(false));
        let all = ["s2", "s1"].map(str::to_owned);
        assert_eq!(is_busy(answer, &all), Ok(true));
        let told = |answer: &str| is_busy(answer, &all).unwrap_err();
        assert_eq!(told("Permission denied\n"), "Permission denied");
        assert_eq!(told("# pxname,svname\n"), "# pxname,svname");
        assert_eq!(told(""), "nothing");
    }

    #[test]
    fn the_worker_is_known_by_its_pid() {
        assert_eq!(worker("Name: HAProxy\nPid: 9214\nUptime: 0d"), Some(9214));
        assert_eq!(worker("Pid: x"), None);
    }
}
