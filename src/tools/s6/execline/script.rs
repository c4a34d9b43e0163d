//! `execlineb`: reads a script and becomes its command line.

use std::fs::File;
use std::io::Read;

use crate::service::s6rc::words::words;
use crate::tools::s6::call::{
    Bytes, Call, Done, Environment, Outcome, Stop, USAGE, number, path, shown,
};
use crate::tools::s6::tell;

use super::value::Variables;

/// More is no script.
const SCRIPT_BYTES_MAX: u64 = 4 << 20;
const LINE: &str = "execlineb [ -p | -P | -S nmin | -s nmin ] [ -q | -w | -W ] [ -c commandline ] \
    script args";

/// What becomes of the script's arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arguments {
    /// Variables `0`, `1`, `#` …, of which those that were there get other names first.
    Pushed,
    /// The same, in the place of those that were there.
    Replaced,
    /// Nothing.
    Left,
    /// They stand in the words, at least so many; with true, `$@` is what is behind those.
    Words(usize, bool),
}

/// `execlineb [-p | -P | -S N | -s N] [-q | -w | -W] [-c LINE] SCRIPT ARG…`
pub(crate) fn execlineb(mut call: Call) -> Outcome {
    let usage = || Stop::usage(LINE);
    let (mut how, mut strict, mut line) = (Arguments::Pushed, None, None);
    for (option, value) in call.options("pPqwWc:S:s:").map_err(|_| usage())? {
        match option {
            'p' => how = Arguments::Replaced,
            'P' => how = Arguments::Left,
            'q' => strict = Some(0),
            'w' => strict = Some(1),
            'W' => strict = Some(2),
            'c' => line = Some(value),
            letter => how = Arguments::Words(number(&value).ok_or_else(usage)?, letter == 's'),
        }
    }
    let (name, script) = match line {
        Some(line) => (b"execlineb".to_vec(), line),
        None => {
            let name = call.shift().ok_or_else(usage)?;
            let script = read(&name)?;
            (name, script)
        }
    };
    let mut words = words(&script).map_err(|fault| Stop::fatal(USAGE, fault.text()))?;
    match strict {
        None => {}
        Some(0) => call.env.remove(b"EXECLINE_STRICT"),
        Some(level) => call.env.set(b"EXECLINE_STRICT", level.to_string()),
    }
    match how {
        Arguments::Left => {}
        Arguments::Pushed => {
            push(&mut call.env);
            export(&mut call.env, &name, &call.args);
        }
        Arguments::Replaced => export(&mut call.env, &name, &call.args),
        Arguments::Words(least, behind) => {
            check(call.args.len(), least, strict)?;
            let found = variables(&name, &call.args, least, behind);
            let grown = found.put_in(&words);
            words = grown.ok_or_else(|| Stop::fatal(USAGE, "the words grow too long"))?;
        }
    }
    if words.is_empty() {
        return Ok(Done::Exit(0));
    }
    call.args = words;
    Ok(call.go_on())
}

fn read(name: &[u8]) -> Result<Bytes, Stop> {
    let opened = File::open(path(name));
    let file =
        opened.map_err(|error| Stop::unable(format!("open {} for reading", shown(name)), error))?;
    let mut text = Bytes::new();
    file.take(SCRIPT_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| Stop::unable("parse script", error))?;
    Ok(text)
}

fn check(count: usize, least: usize, strict: Option<u32>) -> Result<(), Stop> {
    if count >= least || strict == Some(0) {
        return Ok(());
    }
    let text = format!("too few arguments: expecting at least {least} but got {count}");
    if strict == Some(2) {
        return Err(Stop::fatal(USAGE, text));
    }
    tell(b"execlineb", &format!("warning: {text}"));
    Ok(())
}

/// `$#`, `$0`, `$@`, `$1` …; those up to `least` that were not given are empty.
fn variables(name: &[u8], args: &[Bytes], least: usize, behind: bool) -> Variables {
    let mut found = Variables::default();
    let mut add = |name: Bytes, values: Vec<Bytes>| {
        // Every name comes once.
        let _ = found.add(name, values);
    };
    let rest = args
        .get(if behind { least } else { 0 }..)
        .unwrap_or_default();
    add(b"#".to_vec(), vec![args.len().to_string().into_bytes()]);
    add(b"0".to_vec(), vec![name.to_vec()]);
    add(b"@".to_vec(), rest.to_vec());
    // Nobody names so many: what a script can name, it has.
    let least = least.min(u16::MAX.into());
    for index in 0..args.len().max(least) {
        let value = args.get(index).cloned().unwrap_or_default();
        add((index + 1).to_string().into_bytes(), vec![value]);
    }
    found
}

fn export(env: &mut Environment, name: &[u8], args: &[Bytes]) {
    env.set(b"#", args.len().to_string());
    env.set(b"0", name);
    for (index, arg) in args.iter().enumerate() {
        env.set((index + 1).to_string().as_bytes(), arg.clone());
    }
}

/// `1` becomes `1:1`, `1:1` becomes `1:2` …, so that an inner script can give them back.
fn push(env: &mut Environment) {
    for (name, _) in &mut env.0 {
        let (base, level) = match name.iter().position(|byte| *byte == b':') {
            Some(colon) => (name.get(..colon), name.get(colon + 1..).and_then(number)),
            None => (Some(name.as_slice()), Some(0_u32)),
        };
        if let (Some([b'0'..=b'9' | b'#']), Some(level)) = (base, level) {
            let base = base.unwrap_or_default().to_vec();
            *name = [base, format!(":{}", u64::from(level) + 1).into_bytes()].concat();
        }
    }
}
