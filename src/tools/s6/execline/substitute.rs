//! Words that put values into the rest: `define`, `importas`, `import`, `multisubstitute`.

use crate::tools::s6::call::{
    BadOption, Bytes, Call, Environment, Outcome, Stop, TEMPORARY, USAGE, shown,
};

use super::value::{Cut, Variables};

/// What `define` and `importas` may be told about a value.
const CUT: &str = "NnsCcd:";

fn cut(cut: &mut Cut, option: char, value: Bytes) {
    match option {
        'N' => cut.chomp = false,
        'n' => cut.chomp = true,
        's' => cut.split = true,
        'C' => cut.crunch = true,
        'c' => cut.crunch = false,
        _ => cut.delimiters = value,
    }
}

/// Why a directive says nothing.
enum Fault {
    /// Its options or words are wrong.
    Usage,
    /// The name is nothing, or was there before.
    Key,
    /// It stops everything.
    Stop(Stop),
}

impl From<BadOption> for Fault {
    fn from(_: BadOption) -> Self {
        Self::Usage
    }
}

/// `define [-N | -n] [-s] [-C | -c] [-d DELIMITERS] KEY VALUE`, off the front of a call.
fn read_define(call: &mut Call, found: &mut Variables) -> Result<(), Fault> {
    let mut how = Cut::default();
    for (option, value) in call.options(CUT)? {
        cut(&mut how, option, value);
    }
    let (Some(key), Some(text)) = (call.shift(), call.shift()) else {
        return Err(Fault::Usage);
    };
    add(found, key, Some(&text), &how)
}

/// `importas [-i | -D DEFAULT] [-u] [-S] … KEY VARIABLE`, off the front of a call; with `-S`,
/// and for `import`, the key is the variable's name.
fn read_importas(call: &mut Call, found: &mut Variables, same: bool) -> Result<(), Fault> {
    let (mut how, mut default, mut insist, mut unexport, mut same) =
        (Cut::default(), None, false, false, same);
    for (option, value) in call.options(&format!("iuSD:{CUT}"))? {
        match option {
            'i' => insist = true,
            'u' => unexport = true,
            'S' => same = true,
            'D' => default = Some(value),
            other => cut(&mut how, other, value),
        }
    }
    let key = call.shift().ok_or(Fault::Usage)?;
    let name = if same {
        key.clone()
    } else {
        call.shift().ok_or(Fault::Usage)?
    };
    let set = call.env.get(&name).map(<[u8]>::to_vec);
    if set.is_none() && insist {
        let text = format!("{} not set", shown(&name));
        return Err(Fault::Stop(Stop::fatal(USAGE, text)));
    }
    if unexport {
        call.env.remove(&name);
    }
    add(found, key, set.or(default).as_deref(), &how)
}

fn add(found: &mut Variables, key: Bytes, text: Option<&[u8]>, how: &Cut) -> Result<(), Fault> {
    let values = match text {
        None => Vec::new(),
        Some(text) => how.values(text).ok_or_else(|| {
            Fault::Stop(Stop::fatal(TEMPORARY, "a value is no row of netstrings"))
        })?,
    };
    if found.add(key, values) {
        Ok(())
    } else {
        Err(Fault::Key)
    }
}

/// The call with the values in its words.
pub(super) fn put_in(mut call: Call, found: &Variables) -> Outcome {
    let grown = found.put_in(&call.args);
    call.args = grown.ok_or_else(|| Stop::fatal(TEMPORARY, "the words grow too long"))?;
    Ok(call.go_on())
}

fn alone(
    mut call: Call,
    usage: &str,
    read: impl FnOnce(&mut Call, &mut Variables) -> Result<(), Fault>,
) -> Outcome {
    let mut found = Variables::default();
    match read(&mut call, &mut found) {
        Ok(()) if call.args.is_empty() => Err(Stop::usage(usage)),
        Ok(()) => put_in(call, &found),
        Err(Fault::Usage) => Err(Stop::usage(usage)),
        Err(Fault::Key) => Err(Stop::fatal(TEMPORARY, "bad substitution key")),
        Err(Fault::Stop(stop)) => Err(stop),
    }
}

/// `define … KEY VALUE PROG…`
pub(crate) fn define(call: Call) -> Outcome {
    let usage = "define [ -N | -n ] [ -s ] [ -C | -c ] [ -d delim ] key value prog...";
    alone(call, usage, read_define)
}

/// `importas … KEY VARIABLE PROG…`
pub(crate) fn importas(call: Call) -> Outcome {
    let usage = "importas [ -i | -D default ] [ -u ] [ -S ] [ -N | -n ] [ -s ] [ -C | -c ] \
        [ -d delim ] key var prog...";
    alone(call, usage, |call, found| read_importas(call, found, false))
}

/// `import … VARIABLE PROG…`
pub(crate) fn import(call: Call) -> Outcome {
    let usage = "import [ -i | -D default ] [ -u ] [ -N | -n ] [ -s ] [ -C | -c ] [ -d delim ] \
        var prog...";
    alone(call, usage, |call, found| read_importas(call, found, true))
}

/// `multisubstitute { DIRECTIVE… } PROG…`: all at once, so that no value is looked into.
pub(crate) fn multisubstitute(mut call: Call) -> Outcome {
    let words = call.needed_block("multisubstitute")?;
    if call.args.is_empty() {
        return Err(Stop::usage("multisubstitute { directives... } prog..."));
    }
    // Unexporting counts for the rest, but not for the directives behind.
    let mut directives = Call {
        args: words,
        env: call.env.clone(),
    };
    let mut found = Variables::default();
    while let Some(word) = directives.shift() {
        let mut one = Call {
            args: directives.args,
            env: call.env.clone(),
        };
        let read = match word.as_slice() {
            b"define" => read_define(&mut one, &mut found),
            b"importas" => read_importas(&mut one, &mut found, false),
            b"import" => read_importas(&mut one, &mut found, true),
            _ => {
                let text = format!("syntax error: unrecognized directive {}", shown(&word));
                return Err(Stop::fatal(USAGE, text));
            }
        };
        let told = |what: &str| {
            Err(Stop::fatal(
                USAGE,
                format!("{what} directive {}", shown(&word)),
            ))
        };
        match read {
            Ok(()) => {}
            Err(Fault::Usage) => return told("syntax error at"),
            Err(Fault::Key) => return told("wrong key for"),
            Err(Fault::Stop(stop)) => return Err(stop),
        }
        keep_common(&mut directives.env, &one.env);
        directives.args = one.args;
    }
    call.env = directives.env;
    put_in(call, &found)
}

/// Leaves in `env` what is in `other` too.
fn keep_common(env: &mut Environment, other: &Environment) {
    env.0.retain(|(name, _)| other.get(name).is_some());
}
