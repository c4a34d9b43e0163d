//! Words without a block: `cd`, `exec`, `exit`, `export`.

use std::env;

use crate::tools::s6::call::{Call, Done, Environment, Outcome, Stop, USAGE, number, path, shown};

/// `cd DIR PROG…`
pub(crate) fn cd(mut call: Call) -> Outcome {
    let usage = || Stop::usage("cd path prog...");
    let dir = call
        .shift()
        .filter(|_| !call.args.is_empty())
        .ok_or_else(usage)?;
    env::set_current_dir(path(&dir))
        .map_err(|error| Stop::unable(format!("chdir to {}", shown(&dir)), error))?;
    Ok(call.go_on())
}

/// `exec [-c] [-l] [-a NAME] PROG…`: with an empty environment, a dash before its name, or another
/// name.
pub(crate) fn exec(mut call: Call) -> Outcome {
    let usage = || Stop::usage("exec [ -c ] [ -l ] [ -a argv0 ] prog...");
    let options = call.options("cla:").map_err(|_| usage())?;
    let program = call.args.first().cloned().ok_or_else(usage)?;
    let path = call.env.get(b"PATH").map(<[u8]>::to_vec);
    let mut dash = false;
    for (option, value) in options {
        match option {
            'c' => call.env = Environment::default(),
            'l' => dash = true,
            _ => call.args.splice(..1, [value]).for_each(drop),
        }
    }
    if let Some(name) = call.args.first_mut().filter(|_| dash) {
        name.insert(0, b'-');
    }
    let mut next = call.command();
    next.program = Some(program);
    next.path = path;
    Ok(Done::Exec(next))
}

/// `exit [CODE]`, of which the last eight bits count.
pub(crate) fn exit(call: Call) -> Outcome {
    let Call { args, env: _ } = call;
    let code = match args.first() {
        None => 0,
        Some(word) => number::<u32>(word).ok_or_else(|| Stop::usage("exit [ exitcode ]"))?,
    };
    let [code, ..] = code.to_le_bytes();
    Ok(Done::Exit(code))
}

/// `export NAME VALUE PROG…`
pub(crate) fn export(mut call: Call) -> Outcome {
    if call.args.len() < 3 {
        return Err(Stop::usage("export variable value prog..."));
    }
    let (name, value) = (
        call.shift().unwrap_or_default(),
        call.shift().unwrap_or_default(),
    );
    if name.contains(&b'=') {
        return Err(Stop::fatal(
            USAGE,
            format!("invalid variable name: {}", shown(&name)),
        ));
    }
    call.env.set(&name, value);
    Ok(call.go_on())
}
